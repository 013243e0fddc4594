from __future__ import annotations

from ringfence.model.filter import And, Comparison, Not, Or, Term


def test_trees_with_the_same_content_are_equal_and_can_be_keys() -> None:
    def tree() -> Not:
        terms = tuple(
            Term(field=name, comparison=Comparison.EQUALS, value="1", offset=0) for name in ("src_port", "dst_port")
        )
        return Not(operand=And(operands=(Or(operands=terms), terms[0])))

    assert tree() == tree()
    assert len({tree(), tree()}) == 1


def test_comparisons_are_written_as_people_write_them() -> None:
    assert [str(item) for item in Comparison] == [":", ">=", "<=", ">", "<", "*"]

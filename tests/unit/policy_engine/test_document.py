from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.document import MAX_BYTES, Mapping, Problems, Scalar, Sequence, read_document


def problem_of(text: str) -> tuple[int, str]:
    problems = Problems()
    read_document(text, problems)
    assert problems.found, "expected a problem"
    return problems.found[0].line, problems.found[0].message


def test_nodes_know_their_lines_and_scalars_stay_text() -> None:
    problems = Problems()
    root = read_document('a: no\nb:\n  - 010\n  - "1e3"\n', problems)
    assert isinstance(root, Mapping)
    first, second = root.entries["a"].value, root.entries["b"].value
    assert isinstance(first, Scalar)
    assert isinstance(second, Sequence)
    assert (first.text, first.plain) == ("no", True)
    assert [(item.line, item.text, item.plain) for item in second.items if isinstance(item, Scalar)] == [
        (3, "010", True),
        (4, "1e3", False),
    ]
    assert not problems.found


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a: &x [1]\nb: *x\n", 1, "anchors"),
        ("a: 1\nb: *x\n", 2, "aliases"),
        ("a: !!python/object:os.system x\n", 1, "tags"),
        ("a: !custom x\n", 1, "tags"),
        ("a: 1\n---\nb: 2\n", 2, "one YAML document"),
        ("a: 1\na: 2\n", 2, "second time, first in line 1"),
        ("? [a]\n: 1\n", 1, "a key must be a word"),
        ("a: [1\n", 2, "did not find"),
        ("a: b: c\n", 1, "mapping values are not allowed"),
        ("\tx: 1\n", 1, "cannot start any token"),
        ("[" * 30 + "]" * 30, 1, "nested more than"),
        ("a: \x00\n", 1, "not readable"),
    ],
)
def test_what_cannot_be_read_is_a_problem_with_its_line(text: str, line: int, part: str) -> None:
    found = problem_of(text)
    assert found[0] == line
    assert part in found[1]


def test_a_billion_laughs_is_refused_at_its_first_anchor() -> None:
    levels = ["a0: &a0 [lol, lol, lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert "anchors" in problem_of("\n".join(levels))[1]


def test_a_hundred_thousand_brackets_do_not_exhaust_the_stack() -> None:
    assert "nested" in problem_of("[" * 100_000)[1]


def test_size_and_number_of_values_are_limited() -> None:
    assert "larger than" in problem_of("x" * (MAX_BYTES + 1))[1]
    assert "larger than" in problem_of("ü" * (MAX_BYTES // 2 + 1))[1]
    assert "more than" in problem_of("[" + "1," * 300_000 + "1]")[1]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    problems = Problems()
    root = read_document(text, problems)
    assert root is not None or problems.found or not text.strip() or text.lstrip().startswith(("#", "%", "\ufeff", "-"))


def test_problems_stop_at_a_readable_number() -> None:
    problems = Problems()
    for line in range(1000):
        problems.add(line, "x", "y")
    assert len(problems.found) == 200

from __future__ import annotations

from ringfence.doctor.check import CheckState, Group


def test_a_group_makes_checks_of_every_state() -> None:
    group = Group("kernel")
    made = [
        group.ok("a", "fine"),
        group.warn("b", "so so", "do"),
        group.fail("c", "bad", "do"),
        group.unknown("d", "?"),
    ]
    assert [check.state for check in made] == list(CheckState)
    assert {check.group for check in made} == {"kernel"}
    assert [check.hint for check in made] == ["", "do", "do", ""]

from __future__ import annotations

from collections.abc import Sequence

from ringfence.config import Config
from ringfence.doctor.check import Check, CheckState, Group
from ringfence.doctor.examine import examine, run_all
from tests.support.doctor_host import AnsweringHost


def test_an_examination_that_breaks_is_a_check_and_not_the_end() -> None:
    def breaks() -> Sequence[Check]:
        raise RuntimeError("unforeseen")

    found = run_all({"one": breaks, "two": lambda: (Group("two").ok("fine", "fine"),)})
    assert [(check.group, check.state) for check in found] == [("one", CheckState.UNKNOWN), ("two", CheckState.OK)]
    assert "unforeseen" in found[0].detail


def test_a_machine_that_answers_nothing_is_still_examined() -> None:
    host = AnsweringHost(commands=frozenset(), root=False, no_namespace="not here", kernel="")
    found = examine(Config(), host)
    assert {check.group for check in found} >= {"rights", "kernel", "netfilter", "iptables", "docker", "place"}
    assert all(check.hint for check in found if check.state is CheckState.FAIL)
    assert all(check.detail for check in found)

"""Rules by number: explicit before default, the denying one before all, never a guess."""

from __future__ import annotations

import numpy as np
import pytest

from collector.legs import FLOW, LEG, LegKind
from collector.verdicts import Verdicts
from ringfence.model.verdict import Direction
from tests.support.tracked import MASK, rule


def judge(
    egress: int = 0, ingress: int = 0, denied: tuple[LegKind, int] | None = None, host: int = 0
) -> dict[str, object]:
    legs, flow = np.zeros(4, LEG), np.zeros(1, FLOW)
    for place, (name, number) in enumerate({"src": egress, "dst": ingress, "host": host}.items()):
        flow[name] = place
        legs["mark"][place] = number << 8
    flow["denied"] = 3 if denied else -1
    if denied:
        legs["kind"][3], legs["rule"][3] = denied
    columns = Verdicts(mark_mask=MASK, rule_names=rule).columns(flow, legs)
    return {name: column[0].as_py() for name, column in columns.items()}


@pytest.mark.parametrize(
    ("given", "enforced", "named", "basis"),
    [
        ({}, "allowed", None, "default"),
        ({"egress": 30}, "allowed", "app/p/egress/0", "explicit"),
        ({"egress": 30, "ingress": 21}, "allowed", "app/p/ingress/1", "explicit"),
        ({"egress": 30, "ingress": 1}, "allowed", "app/p/egress/0", "explicit"),
        ({"egress": 2, "ingress": 1}, "allowed", "not-enforced/ingress/default", "default"),
        ({"egress": 2}, "allowed", "egress/default", "default"),
        ({"egress": 30, "denied": (LegKind.DENIED_INGRESS, 22)}, "denied", "app/p/ingress/2", "explicit"),
        ({"denied": (LegKind.DENIED_EGRESS, 3)}, "denied", "quarantine/egress/default", "explicit"),
        ({"egress": 9}, "allowed", None, "default"),
        ({"host": 31}, "allowed", "app/p/egress/1", "explicit"),
        ({"host": 31, "egress": 30}, "allowed", "app/p/egress/0", "explicit"),
    ],
)
def test_which_rule_decided(given: dict[str, object], enforced: str, named: str | None, basis: str) -> None:
    found = judge(**given)  # type: ignore[arg-type]
    assert (found["enforced"], found["rule"], found["enforced_basis"]) == (enforced, named, basis)


def test_a_rule_that_gets_its_name_later_is_asked_for_again() -> None:
    names: dict[int, object] = {}
    verdicts = Verdicts(mark_mask=MASK, rule_names=names.get)  # type: ignore[arg-type,return-value]
    assert verdicts.name(40, Direction.EGRESS) is None
    names[40] = rule(30)
    assert str(verdicts.name(40, Direction.EGRESS)) == "app/p/egress/0"

from __future__ import annotations

import pytest

from ringfence.model.verdict import Basis, Direction, Outcome, RuleRef, Verdict


@pytest.mark.parametrize(
    ("tier", "policy", "index", "text"),
    [
        ("application", "db", 0, "application/db/ingress/0"),
        ("application", "", -1, "application/ingress/default"),
        ("", "", -1, "ingress/default"),
    ],
)
def test_a_rule_is_named_by_its_place(tier: str, policy: str, index: int, text: str) -> None:
    assert str(RuleRef(tier=tier, policy=policy, direction=Direction.INGRESS, index=index)) == text


def test_a_verdict_says_whether_it_denies() -> None:
    for outcome in Outcome:
        verdict = Verdict(outcome=outcome, basis=Basis.DEFAULT, rule=None, sentence="x")
        assert verdict.denied == (outcome is Outcome.DENIED)

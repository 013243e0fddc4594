from __future__ import annotations

import pytest

from policy_engine.sentence import explain
from ringfence.model.ruleset import DEFAULT_ALLOW_RULE, QUARANTINE_RULE, UNENFORCED_RULE, reserved_ref
from ringfence.model.verdict import Direction, Outcome, RuleRef, parse_ref


def rule(text: str) -> RuleRef | None:
    return parse_ref(text)


@pytest.mark.parametrize(
    ("outcome", "ref", "selected", "expected"),
    [
        (
            Outcome.ALLOWED,
            rule("application/db-only-5432/ingress/0"),
            True,
            "api may reach db on tcp/5432: allowed by ingress rule 1 of policy db-only-5432 (tier application)",
        ),
        (
            Outcome.DENIED,
            rule("application/api/egress/2"),
            True,
            "api may not reach db on tcp/5432: denied by egress rule 3 of policy api (tier application)",
        ),
        (
            Outcome.DENIED,
            rule("application/ingress/default"),
            True,
            "api may not reach db on tcp/5432: denied by the default of tier application, which selects db for ingress",
        ),
        (
            Outcome.ALLOWED,
            reserved_ref(DEFAULT_ALLOW_RULE, Direction.INGRESS),
            False,
            "api may reach db on tcp/5432: allowed, no policy selects db for ingress",
        ),
        (
            Outcome.ALLOWED,
            reserved_ref(DEFAULT_ALLOW_RULE, Direction.EGRESS),
            True,
            "api may reach db on tcp/5432: allowed, every policy that selects api for egress passes",
        ),
        (
            Outcome.ALLOWED,
            reserved_ref(UNENFORCED_RULE, Direction.INGRESS),
            True,
            "api may reach db on tcp/5432: allowed, since db is not in protect mode",
        ),
        (
            Outcome.DENIED,
            reserved_ref(QUARANTINE_RULE, Direction.EGRESS),
            False,
            "api may not reach db on tcp/5432: denied, since api is in quarantine",
        ),
        (Outcome.ALLOWED, None, False, "api may reach db on tcp/5432: allowed, by which rule is not known"),
    ],
)
def test_every_verdict_has_a_sentence(outcome: Outcome, ref: RuleRef | None, selected: bool, expected: str) -> None:
    assert (
        explain(source="api", destination="db", request="tcp/5432", outcome=outcome, rule=ref, selected=selected)
        == expected
    )

from __future__ import annotations

from ipaddress import ip_address

import pytest

from policy_engine.endpoint import Endpoint, Request
from policy_engine.evaluate import combine, evaluate, rule_of
from policy_engine.parse import parse_policy
from ringfence.model.policy import Action, PolicySet
from ringfence.model.verdict import Basis, Direction, Outcome, RuleRef, parse_ref

TCP = Request(protocol=6, port=5432)


def end(role: str, **more: object) -> Endpoint:
    return Endpoint(name=role, labels={"role": role}, **more)  # type: ignore[arg-type]


def policies(*lines: str, tiers: str = "[{name: one, default: pass}, {name: two}]") -> PolicySet:
    body = "\n".join(f"  - {line}" for line in lines)
    return parse_policy(f"version: 1\ntiers: {tiers}\npolicies:\n{body}\n")


def test_without_policy_everything_is_allowed_by_default() -> None:
    decision = evaluate(PolicySet(), end("api"), end("db"), TCP)
    assert decision.connection.outcome is Outcome.ALLOWED
    assert decision.connection.basis is Basis.DEFAULT
    assert decision.connection.sentence == "api may reach db on tcp/5432: allowed, no policy selects db for ingress"


def test_an_empty_list_isolates_and_a_missing_one_does_not() -> None:
    policy = policies("{name: p, tier: two, selector: role == 'db', ingress: []}")
    assert evaluate(policy, end("api"), end("db"), TCP).connection.denied
    assert not evaluate(policy, end("db"), end("api"), TCP).connection.denied


def test_the_first_matching_rule_wins_over_a_narrower_later_one() -> None:
    policy = policies(
        "{name: p, tier: two, selector: all(), ingress: [{action: allow, protocol: tcp}, "
        "{action: deny, protocol: tcp, ports: [5432]}]}"
    )
    assert str(evaluate(policy, end("a"), end("b"), TCP).ingress.rule) == "two/p/ingress/0"


def test_pass_skips_the_rest_of_its_tier_only() -> None:
    policy = policies(
        "{name: p, tier: one, selector: all(), ingress: [{action: pass, protocol: tcp}, {action: deny}]}",
        "{name: q, tier: one, selector: all(), ingress: [{action: deny}]}",
        "{name: r, tier: two, selector: all(), ingress: [{action: allow, protocol: tcp}]}",
    )
    assert str(evaluate(policy, end("a"), end("b"), TCP).connection.rule) == "two/r/ingress/0"
    assert str(evaluate(policy, end("a"), end("b"), Request(protocol=17)).connection.rule) == "one/p/ingress/1"


def test_policies_of_a_tier_count_together_before_its_default() -> None:
    policy = policies(
        "{name: p, tier: two, selector: all(), ingress: []}",
        "{name: q, tier: two, selector: all(), ingress: [{action: allow}]}",
    )
    assert not evaluate(policy, end("a"), end("b"), TCP).connection.denied


def test_passing_every_tier_is_allowed_and_says_so() -> None:
    policy = policies("{name: p, tier: one, selector: all(), ingress: [{action: pass}]}")
    verdict = evaluate(policy, end("a"), end("b"), TCP).connection
    assert verdict.sentence == "a may reach b on tcp/5432: allowed, every policy that selects b for ingress passes"


@pytest.mark.parametrize(("default", "denied"), [("allow", False), ("deny", True), ("reject", True), ("pass", False)])
def test_a_tiers_default_decides_for_those_it_selects(default: str, denied: bool) -> None:
    policy = policies("{name: p, tier: t, selector: all(), ingress: []}", tiers=f"[{{name: t, default: {default}}}]")
    decision = evaluate(policy, end("a"), end("b"), TCP)
    assert decision.connection.denied is denied
    assert decision.connection.basis is Basis.DEFAULT


def test_either_end_may_deny_and_egress_is_named_first() -> None:
    policy = policies("{name: p, tier: two, selector: all(), ingress: [{action: deny}], egress: [{action: reject}]}")
    decision = evaluate(policy, end("a"), end("b"), TCP)
    assert decision.connection == decision.egress
    assert decision.ingress.denied


def test_an_end_that_is_no_workload_has_no_policy_of_its_own() -> None:
    policy = policies("{name: p, tier: two, selector: all(), ingress: [], egress: []}")
    outside = Endpoint(name="192.0.2.1", address=ip_address("192.0.2.1"))
    assert not evaluate(policy, outside, outside, TCP).connection.denied
    assert evaluate(policy, outside, end("db"), TCP).egress.outcome is Outcome.ALLOWED
    office = Endpoint(name="office", labels={"site": "office"}, governed=False)
    assert not evaluate(policy, office, outside, TCP).egress.denied


def test_where_both_allow_the_stated_rule_is_named() -> None:
    policy = policies("{name: p, tier: two, selector: role == 'a', egress: [{action: allow}]}")
    decision = evaluate(policy, end("a"), end("b"), TCP)
    assert str(decision.connection.rule) == "two/p/egress/0"
    assert combine(decision.egress, decision.egress) == decision.egress


def test_a_reference_leads_back_to_its_rule() -> None:
    policy = policies("{name: p, tier: two, selector: all(), ingress: [{action: deny}]}")
    for text, found in (("two/p/ingress/0", True), ("two/p/ingress/1", False), ("two/p/egress/0", False)):
        rule = rule_of(policy, parse_ref(text) or RuleRef(tier="", policy="", direction=Direction.INGRESS, index=-1))
        assert (rule is not None and rule.action is Action.DENY) is found

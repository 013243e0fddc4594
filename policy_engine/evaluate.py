"""The verdict on one connection, by walking the policy: tiers, policies and rules in their order.

This says what policy says, whatever mode the workloads are in: what would be done were all in `protect`.
"""

from __future__ import annotations

from dataclasses import dataclass

from policy_engine.endpoint import Endpoint, Request
from policy_engine.matching import governs, rule_matches
from policy_engine.sentence import explain
from ringfence.model.policy import Action, PolicySet, Rule, Tier
from ringfence.model.verdict import Basis, Direction, Outcome, RuleRef, Verdict

FINAL = {Action.ALLOW: Outcome.ALLOWED, Action.DENY: Outcome.DENIED, Action.REJECT: Outcome.DENIED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Egress at the source, ingress at the destination, and the connection as a whole."""

    egress: Verdict
    ingress: Verdict
    connection: Verdict


def evaluate(policies: PolicySet, source: Endpoint, destination: Endpoint, request: Request) -> Decision:
    """Both directions and the connection: denied when either end denies."""
    egress = evaluate_direction(policies, Direction.EGRESS, source, destination, request)
    ingress = evaluate_direction(policies, Direction.INGRESS, source, destination, request)
    return Decision(egress=egress, ingress=ingress, connection=combine(egress, ingress))


def combine(egress: Verdict, ingress: Verdict) -> Verdict:
    """The stricter verdict, egress first since the packet meets it first.

    Where both allow: what a rule says before what a tier's default says before no opinion; else ingress.
    """
    if egress.denied or ingress.denied:
        return egress if egress.denied else ingress
    return egress if _weight(egress) > _weight(ingress) else ingress


def _weight(verdict: Verdict) -> int:
    if verdict.basis is Basis.EXPLICIT:
        return 2
    return 1 if verdict.rule is not None and verdict.rule.tier else 0


def evaluate_direction(
    policies: PolicySet, direction: Direction, source: Endpoint, destination: Endpoint, request: Request
) -> Verdict:
    """The verdict of the policies of one end: the destination's for ingress, the source's for egress."""
    subject, peer = (destination, source) if direction is Direction.INGRESS else (source, destination)
    selected = False
    ref, action = RuleRef(tier="", policy="", direction=direction, index=-1), Action.ALLOW
    for tier in policies.tiers:
        decided = _walk_tier(tier, direction, subject, peer, request)
        if decided is None:
            continue
        selected = True
        if decided[1] is not Action.PASS:
            ref, action = decided
            break
    outcome = FINAL[action]
    sentence = explain(
        source=source.name,
        destination=destination.name,
        request=str(request),
        outcome=outcome,
        rule=ref,
        selected=selected,
    )
    basis = Basis.EXPLICIT if ref.index >= 0 else Basis.DEFAULT
    return Verdict(outcome=outcome, basis=basis, rule=ref, sentence=sentence)


def _walk_tier(
    tier: Tier, direction: Direction, subject: Endpoint, peer: Endpoint, request: Request
) -> tuple[RuleRef, Action] | None:
    """The first rule that decides or passes, else the tier's default; None when no policy of it selects the subject."""
    selected = False
    for policy in tier.policies:
        rules = policy.rules(direction)
        if rules is None or not governs(policy, subject):
            continue
        selected = True
        for index, rule in enumerate(rules):
            if rule_matches(rule, peer, request):
                return RuleRef(tier=tier.name, policy=policy.name, direction=direction, index=index), rule.action
    return (RuleRef(tier=tier.name, policy="", direction=direction, index=-1), tier.default) if selected else None


def rule_of(policies: PolicySet, ref: RuleRef) -> Rule | None:
    """The rule that a reference names, None when the policy set has no such rule."""
    for tier in policies.tiers:
        for policy in tier.policies if tier.name == ref.tier else ():
            rules = policy.rules(ref.direction) if policy.name == ref.policy else None
            if rules is not None and 0 <= ref.index < len(rules):
                return rules[ref.index]
    return None

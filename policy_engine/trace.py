"""How a verdict comes about: tier by tier, what was asked of one connection at each of its ends, and what answered.

The walk is that of `evaluate`, kept step by step; a test holds both to the same verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from policy_engine.endpoint import Endpoint, Request
from policy_engine.evaluate import FINAL, combine
from policy_engine.judge import Ends
from policy_engine.matching import governs, peers_match, services_match
from policy_engine.modes import UNRULED, mode_of
from policy_engine.sentence import explain
from ringfence.model.policy import Action, Policy, PolicySet, Rule, Tier
from ringfence.model.verdict import Basis, Direction, Mode, RuleRef, Verdict


class Ending(StrEnum):
    """How a tier left the connection."""

    RULE = "rule"
    """One of its rules decided."""
    DEFAULT = "default"
    """Its policies select the workload, none of their rules matched, and its default decided."""
    PASSED = "passed"
    """A pass rule, or a default that passes, went on to the next tier."""
    SKIPPED = "skipped"
    """None of its policies selects the workload for this direction."""
    NOT_ASKED = "not asked"
    """A tier before it had decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRule:
    """One rule that was looked at; it matches when both its peers and its services do."""

    ref: RuleRef
    rule: Rule
    line: int
    peer: bool
    service: bool

    @property
    def matches(self) -> bool:
        return self.peer and self.service


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPolicy:
    """A policy that selects the workload: its rules up to the first that matched; `unasked` stand behind that one."""

    name: str
    line: int
    rules: tuple[AskedRule, ...]
    unasked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTier:
    """`ref` is the rule or default that ended the tier, None for one that was skipped or not asked. `others` counts the
    policies for this direction that do not select the workload."""

    name: str
    line: int
    default: Action
    ending: Ending
    ref: RuleRef | None = None
    policies: tuple[AskedPolicy, ...] = ()
    others: int = 0

    @property
    def action(self) -> Action | None:
        """What ended the tier does; None for one that was skipped or not asked."""
        if self.ref is None:
            return None
        return self.policies[-1].rules[-1].rule.action if self.ref.index >= 0 else self.default

    @property
    def ended_at(self) -> int:
        """The line of the rule that ended the tier, else the tier's own, where its default stands."""
        return self.policies[-1].rules[-1].line if self.ref is not None and self.ref.index >= 0 else self.line


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One direction. `judged` False: no workload of ours stands at that end, so no policy is its own.

    `mode` None: no rules are written for that end. `verdict` is what policy says, whatever the mode.
    """

    direction: Direction
    subject: str
    judged: bool
    mode: Mode | None
    tiers: tuple[AskedTier, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowTrace:
    """Both ends of one flow, and the connection as a whole."""

    egress: Trace
    ingress: Trace
    connection: Verdict


def trace_flow(policies: PolicySet, row: Mapping[str, Any]) -> FlowTrace:
    """A row of the flow schema, by the labels that stand in it; each end is asked about what it saw itself."""
    ends = Ends.of(dict(row))
    egress = trace_direction(
        policies, Direction.EGRESS, ends.source, ends.asked, ends.request, ruled=row["src_kind"] not in UNRULED
    )
    ingress = trace_direction(
        policies, Direction.INGRESS, ends.seen, ends.destination, ends.arriving, ruled=row["dst_kind"] not in UNRULED
    )
    return FlowTrace(egress=egress, ingress=ingress, connection=combine(egress.verdict, ingress.verdict))


def trace_direction(
    policies: PolicySet,
    direction: Direction,
    source: Endpoint,
    destination: Endpoint,
    request: Request,
    *,
    ruled: bool = True,
) -> Trace:
    """The policies of one end, asked in their order. `ruled` False: its kind is one that no rules are written for."""
    subject, peer = (destination, source) if direction is Direction.INGRESS else (source, destination)
    tiers: list[AskedTier] = []
    ref, action = RuleRef(tier="", policy="", direction=direction, index=-1), Action.ALLOW
    decided = False
    for tier in policies.tiers:
        asked = _unasked(tier) if decided else _ask_tier(tier, direction, subject, peer, request)
        tiers.append(asked)
        if asked.ending in (Ending.RULE, Ending.DEFAULT) and asked.ref and asked.action:
            decided, ref, action = True, asked.ref, asked.action
    sentence = explain(
        source=source.name,
        destination=destination.name,
        request=str(request),
        outcome=FINAL[action],
        rule=ref,
        selected=any(tier.policies for tier in tiers),
    )
    basis = Basis.EXPLICIT if ref.index >= 0 else Basis.DEFAULT
    judged = subject.labels is not None and subject.governed
    return Trace(
        direction=direction,
        subject=subject.name,
        judged=judged,
        mode=mode_of(policies, subject.labels) if ruled and judged and subject.labels is not None else None,
        tiers=tuple(tiers),
        verdict=Verdict(outcome=FINAL[action], basis=basis, rule=ref, sentence=sentence),
    )


def _unasked(tier: Tier) -> AskedTier:
    return AskedTier(name=tier.name, line=tier.line, default=tier.default, ending=Ending.NOT_ASKED)


def _ask_tier(tier: Tier, direction: Direction, subject: Endpoint, peer: Endpoint, request: Request) -> AskedTier:
    asked: list[AskedPolicy] = []
    found: AskedRule | None = None
    listing = [policy for policy in tier.policies if policy.rules(direction) is not None]
    selecting = [policy for policy in listing if governs(policy, subject)]
    for policy in selecting:
        asked.append(_ask_policy(policy, direction, peer, request))
        last = asked[-1].rules[-1] if asked[-1].rules else None
        if last is not None and last.matches:
            found = last
            break
    ending, ref = Ending.SKIPPED, None
    if found is not None:
        ending, ref = Ending.RULE, found.ref
    elif selecting:
        ending, ref = Ending.DEFAULT, RuleRef(tier=tier.name, policy="", direction=direction, index=-1)
    if (found.rule.action if found else tier.default) is Action.PASS and selecting:
        ending = Ending.PASSED
    return AskedTier(
        name=tier.name,
        line=tier.line,
        default=tier.default,
        ending=ending,
        ref=ref,
        policies=tuple(asked),
        others=len(listing) - len(selecting),
    )


def _ask_policy(policy: Policy, direction: Direction, peer: Endpoint, request: Request) -> AskedPolicy:
    rules = policy.rules(direction) or ()
    asked: list[AskedRule] = []
    for index, rule in enumerate(rules):
        asked.append(
            AskedRule(
                ref=RuleRef(tier=policy.tier, policy=policy.name, direction=direction, index=index),
                rule=rule,
                line=rule.line or policy.line,
                peer=peers_match(rule, peer),
                service=services_match(rule, request),
            )
        )
        if asked[-1].matches:
            break
    return AskedPolicy(name=policy.name, line=policy.line, rules=tuple(asked), unasked=len(rules) - len(asked))

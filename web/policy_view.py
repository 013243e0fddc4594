"""A policy as people read it: tiers with their policies and hits, who is in which mode, what selects a workload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher

from policy_engine.matching import selects
from policy_engine.modes import mode_in
from policy_engine.parse import parse_policy
from ringfence.errors import PolicyInvalid
from ringfence.model.flow import PROTOCOL_NAMES
from ringfence.model.policy import Peer, Policy, PolicySet, PortInterval, Rule, Service
from ringfence.model.verdict import Direction, Mode, RuleRef
from ringfence.model.workload import Workload, WorkloadKind
from ringfence.store.flows import FlowQuery, FlowReader
from web.tokens import term

ANYTHING = "anything"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """One rule in words, with what it decided in the window.

    `staged_hits` counts flows that were let through and whose verdict, of both ends together, it would have given.
    """

    ref: str
    line: int
    direction: str
    action: str
    words: str
    hits: int
    staged_hits: int
    last_hit: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One policy of a tier; `selected` counts the workloads it isolates now, `enforced` whether any of them drops."""

    name: str
    selector: str
    owner: str
    description: str
    line: int
    selected: int
    enforced: bool
    hits: int
    last_hit: datetime | None
    rules: tuple[RuleLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One tier."""

    name: str
    default: str
    line: int
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Flows that a rule decided at either end, those let through that it would have, and the newest."""

    flows: int
    staged: int
    last: datetime


Hits = Mapping[str, Hit]


def read_policy(text: str) -> PolicySet | None:
    """The parsed policy; None when a stored text is not valid (any more)."""
    try:
        return parse_policy(text)
    except PolicyInvalid:
        return None


def mode_counts(policies: PolicySet, workloads: Iterable[Workload]) -> Counter[Mode]:
    """Of the workloads that rules are written for."""
    modes = (mode_in(policies, workload) for workload in workloads)
    return Counter(mode for mode in modes if mode is not None)


def hits_of(flows: FlowReader, query: FlowQuery) -> dict[str, Hit]:
    """How often each rule decided, or would have, by its name."""
    decided, staged = Counter[str](), Counter[str]()
    newest: dict[str, datetime] = {}
    for row in flows.summarize(query, ("egress_rule", "ingress_rule", "staged_rule")).to_pylist():
        named = {row["egress_rule"], row["ingress_rule"]} - {None, ""}
        passed = row["flows"] - row["denied"]
        would = {row["staged_rule"]} - {None, ""} - named if passed else set()
        decided.update(dict.fromkeys(named, row["flows"]))
        staged.update(dict.fromkeys(would, passed))
        for name in named | would:
            newest[name] = max(newest.get(name, row["last_seen"]), row["last_seen"])
    return {name: Hit(flows=decided[name], staged=staged[name], last=last) for name, last in newest.items()}


def decided_by(ref: str) -> str:
    """The filter that finds the flows that a rule decided."""
    return " or ".join(term(field, ref) for field in ("rule", "egress_rule", "ingress_rule"))


def would_be_decided_by(ref: str) -> str:
    """The filter that finds those that were let through and that it would have decided."""
    return f"{term('staged_rule', ref)} and not verdict: denied and not ({decided_by(ref)})"


def columns_of(policies: PolicySet, workloads: Sequence[Workload], hits: Hits) -> tuple[Column, ...]:
    return tuple(
        Column(
            name=tier.name,
            default=tier.default.value,
            line=tier.line,
            cards=tuple(card_of(policies, policy, workloads, hits) for policy in tier.policies),
        )
        for tier in policies.tiers
    )


def card_of(policies: PolicySet, policy: Policy, workloads: Sequence[Workload], hits: Hits) -> Card:
    rules = tuple(_rule_lines(policy, hits))
    selected = [workload for workload in workloads if _isolates(policy, workload)]
    return Card(
        name=policy.name,
        selector=policy.selector.text,
        owner=policy.owner,
        description=policy.description,
        line=policy.line,
        selected=len(selected),
        enforced=any(mode_in(policies, workload) is Mode.PROTECT for workload in selected),
        hits=sum(rule.hits for rule in rules),
        last_hit=max((rule.last_hit for rule in rules if rule.last_hit), default=None),
        rules=rules,
    )


def effective(policies: PolicySet, workload: Workload, hits: Hits) -> tuple[tuple[str, Card], ...]:
    """Every policy that selects a workload, with its tier, in the order they are asked."""
    return tuple(
        (tier.name, card_of(policies, policy, (workload,), hits))
        for tier in policies.tiers
        for policy in tier.policies
        if _isolates(policy, workload)
    )


def _isolates(policy: Policy, workload: Workload) -> bool:
    """Named networks outside are peers only."""
    return workload.kind is not WorkloadKind.EXTERNAL and selects(policy.selector, workload.labels)


def _rule_lines(policy: Policy, hits: Hits) -> Iterable[RuleLine]:
    for direction in Direction:
        for index, rule in enumerate(policy.rules(direction) or ()):
            ref = str(RuleRef(tier=policy.tier, policy=policy.name, direction=direction, index=index))
            hit = hits.get(ref)
            yield RuleLine(
                ref=ref,
                line=rule.line or policy.line,
                direction=direction.value,
                action=rule.action.value,
                words=in_words(rule, direction),
                hits=hit.flows if hit else 0,
                staged_hits=hit.staged if hit else 0,
                last_hit=hit.last if hit else None,
            )


def in_words(rule: Rule, direction: Direction) -> str:
    """`tcp 5432 from role == 'api'`."""
    peers = " or ".join(map(_peer, rule.peers)) or ANYTHING
    services = ", ".join(map(_service, rule.services)) or "any service"
    return f"{services} {'from' if direction is Direction.INGRESS else 'to'} {peers}"


def _peer(peer: Peer) -> str:
    parts = [peer.selector.text] if peer.selector else []
    if peer.networks:
        parts.append(", ".join(map(str, peer.networks)))
    if peer.not_networks:
        parts.append("except " + ", ".join(map(str, peer.not_networks)))
    return " in ".join(parts[:2]) + "".join(f" {part}" for part in parts[2:]) if parts else ANYTHING


def _service(service: Service) -> str:
    if service.protocol is None:
        return "any service"
    name = PROTOCOL_NAMES.get(service.protocol, f"protocol {service.protocol}")
    if service.icmp_type is not None:
        return f"{name} type {service.icmp_type}"
    return " ".join([name, *filter(None, [", ".join(map(_port, service.ports))])])


def _port(interval: PortInterval) -> str:
    return str(interval.first) if interval.first == interval.last else f"{interval.first}-{interval.last}"


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of a comparison: `sign` is +, - or a blank."""

    sign: str
    text: str


def text_changes(before: str, after: str, context: int = 3) -> tuple[TextLine, ...]:
    """The changed lines of two texts with some lines around them."""
    old, new = before.splitlines(), after.splitlines()
    lines: list[TextLine] = []
    for group in SequenceMatcher(a=old, b=new, autojunk=False).get_grouped_opcodes(context):
        for tag, start, end, new_start, new_end in group:
            if tag == "equal":
                lines += [TextLine(" ", text) for text in old[start:end]]
                continue
            lines += [TextLine("-", text) for text in old[start:end]]
            lines += [TextLine("+", text) for text in new[new_start:new_end]]
    return tuple(lines)

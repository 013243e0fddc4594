"""Every rule of the policy in force, in words, with how often it decided."""

from __future__ import annotations

from collections.abc import Iterator

from audit.report.completeness import Completeness
from audit.report.document import Cell, Column, Fact, Kind, Section, Table
from audit.report.sources import Sources, term
from audit.report.tally import Tally, tally_by
from ringfence.model.flow import PROTOCOL_NAMES
from ringfence.model.policy import Peer, PolicySet, Rule, Service
from ringfence.model.verdict import Direction, RuleRef


def rules_section(sources: Sources, policies: PolicySet, revision: int, completeness: Completeness) -> Section:
    """The table of rules; hits are of the window and of this revision."""
    hits = _hits(sources, revision)
    rows: list[tuple[Cell, ...]] = []
    unused = 0
    for ref, action, peers, services, name in _rules(policies):
        tally = hits.pop(str(ref), None)
        unused += tally is None
        rows.append(
            (str(ref), name, action, peers, services, tally.flows if tally else 0, tally.last if tally else None)
        )
    others = tuple((rule, tally.flows, tally.last) for rule, tally in hits.items())
    no_hit = "no hit recorded" if completeness.whole else "no hit recorded, which with gaps does not mean unused"
    return Section(
        key="rules",
        title="Rules",
        facts=(
            Fact(label="Rules", value=len(rows), kind=Kind.NUMBER),
            Fact(label=f"With {no_hit}", value=unused, kind=Kind.NUMBER),
        ),
        tables=(
            Table(
                key="rules",
                title="Rules in force and what they decided",
                columns=(
                    Column(title="Rule", kind=Kind.CODE),
                    Column(title="Name"),
                    Column(title="Action"),
                    Column(title="Peers"),
                    Column(title="Services", kind=Kind.CODE),
                    Column(title="Decided", kind=Kind.NUMBER, bar=True),
                    Column(title="Last", kind=Kind.TIME),
                ),
                rows=tuple(rows),
                empty="The policy in force has no rules.",
                note="A connection between two workloads is decided twice: at its source and at its destination.",
            ),
            Table(
                key="other-rules",
                title="Decided by rules that are not in this policy",
                columns=(
                    Column(title="Rule", kind=Kind.CODE),
                    Column(title="Decided", kind=Kind.NUMBER),
                    Column(title="Last", kind=Kind.TIME),
                ),
                rows=others,
                empty="Nothing in this window was decided by another rule of this revision.",
                note="`not-enforced` let it through because the workload is not in protect; a reference without a "
                "tier is the product's default: no policy selects the workload.",
            ),
        ),
    )


def _hits(sources: Sources, revision: int) -> dict[str, Tally]:
    """How often each rule decided, by either end."""
    pairs = []
    for column in ("egress_rule", "ingress_rule"):
        rows = sources.summary((column,), term("revision", str(revision)), term(column))
        pairs += [(str(row[column]), row) for row in rows]
    return tally_by(pairs)


def _rules(policies: PolicySet) -> Iterator[tuple[RuleRef, str, str, str, str]]:
    for tier in policies.tiers:
        for direction in Direction:
            for policy in tier.policies:
                for index, rule in enumerate(policy.rules(direction) or ()):
                    ref = RuleRef(tier=tier.name, policy=policy.name, direction=direction, index=index)
                    yield ref, rule.action.value, peers_in_words(rule), services_in_words(rule), rule.name
            if any(policy.rules(direction) is not None for policy in tier.policies):
                ref = RuleRef(tier=tier.name, policy="", direction=direction, index=-1)
                yield ref, tier.default.value, "whatever no rule matched", "any", "default of the tier"


def peers_in_words(rule: Rule) -> str:
    return " or ".join(_peer(peer) for peer in rule.peers) or "anyone"


def _peer(peer: Peer) -> str:
    parts = [peer.selector.text] if peer.selector else []
    if peer.networks:
        parts.append("in " + ", ".join(str(network) for network in peer.networks))
    if peer.not_networks:
        parts.append("not in " + ", ".join(str(network) for network in peer.not_networks))
    return " and ".join(parts) or "anyone"


def services_in_words(rule: Rule) -> str:
    return ", ".join(_service(service) for service in rule.services) or "any"


def _service(service: Service) -> str:
    if service.protocol is None:
        return "any"
    name = PROTOCOL_NAMES.get(service.protocol, f"protocol {service.protocol}")
    if service.ports:
        spans = (str(port.first) if port.first == port.last else f"{port.first}-{port.last}" for port in service.ports)
        return f"{name}/{','.join(spans)}"
    return name if service.icmp_type is None else f"{name} type {service.icmp_type}"

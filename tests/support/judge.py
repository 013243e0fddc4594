"""The slow evaluator, obviously correct: it spells the policy out for one packet and shares no code with the engine.

Only the selector language is the engine's; it has a conformance suite of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policy_engine.selector import compile_selector
from ringfence.model.policy import Action, Peer, PolicySet, Rule, Service
from ringfence.model.verdict import Direction
from ringfence.model.workload import Address


@dataclass(frozen=True)
class Packet:
    """One new connection: labels None for an end that is no workload, not governed one that no policy selects."""

    source_labels: Mapping[str, str] | None
    source: Address
    destination_labels: Mapping[str, str] | None
    destination: Address
    protocol: int
    port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    source_governed: bool = True
    destination_governed: bool = True


def slow_direction(policies: PolicySet, direction: Direction, packet: Packet) -> tuple[bool, str]:
    """(allowed, rule) of one direction, by writing out every tier that has an opinion."""
    if direction is Direction.INGRESS:
        own, other_labels, other = packet.destination_labels, packet.source_labels, packet.source
        governed = packet.destination_governed
    else:
        own, other_labels, other = packet.source_labels, packet.destination_labels, packet.destination
        governed = packet.source_governed
    if own is None or not governed:
        return True, f"{direction.value}/default"
    for tier in policies.tiers:
        candidates: list[tuple[str, Rule]] = []
        selected = False
        for policy in tier.policies:
            rules = policy.ingress if direction is Direction.INGRESS else policy.egress
            if rules is not None and compile_selector(policy.selector.text)(own):
                selected = True
                candidates += [
                    (f"{tier.name}/{policy.name}/{direction.value}/{index}", rule) for index, rule in enumerate(rules)
                ]
        if not selected:
            continue
        decisive = [(name, rule.action) for name, rule in candidates if _rule(rule, other_labels, other, packet)]
        decisive.append((f"{tier.name}/{direction.value}/default", tier.default))
        name, action = decisive[0]
        if action is not Action.PASS:
            return action is Action.ALLOW, name
    return True, f"{direction.value}/default"


def slow_connection(policies: PolicySet, packet: Packet) -> bool:
    """Whether both ends allow it."""
    return all(slow_direction(policies, direction, packet)[0] for direction in Direction)


def _rule(rule: Rule, labels: Mapping[str, str] | None, address: Address, packet: Packet) -> bool:
    peer = True
    if rule.peers:
        peer = False
        for item in rule.peers:
            peer = peer or _peer(item, labels, address)
    service = True
    if rule.services:
        service = False
        for wanted in rule.services:
            service = service or _service(wanted, packet)
    return peer and service


def _peer(peer: Peer, labels: Mapping[str, str] | None, address: Address) -> bool:
    if peer.selector is not None:
        if labels is None:
            return False
        if not compile_selector(peer.selector.text)(labels):
            return False
    if peer.networks and not [item for item in peer.networks if address in item]:
        return False
    return not [item for item in peer.not_networks if address in item]


def _service(service: Service, packet: Packet) -> bool:
    if service.protocol is not None and service.protocol != packet.protocol:
        return False
    if service.ports and packet.port is None:
        return False
    if service.ports and packet.port not in [
        port for item in service.ports for port in range(item.first, item.last + 1)
    ]:
        return False
    if service.icmp_type is not None and service.icmp_type != packet.icmp_type:
        return False
    return service.icmp_code is None or service.icmp_code == packet.icmp_code

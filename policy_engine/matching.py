"""Whether one rule matches one connection: the definition that every faster form must agree with."""

from __future__ import annotations

from collections.abc import Mapping

from policy_engine.endpoint import Endpoint, Request
from policy_engine.selector import compile_selector
from ringfence.model.policy import Network, Peer, Policy, Rule, Selector, Service
from ringfence.model.workload import Address


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    return compile_selector(selector.text)(labels)


def governs(policy: Policy, endpoint: Endpoint) -> bool:
    """Whether the policy selects this end as a workload of its own."""
    return endpoint.governed and endpoint.labels is not None and selects(policy.selector, endpoint.labels)


def rule_matches(rule: Rule, peer: Endpoint, request: Request) -> bool:
    """Any peer and any service; no peers or no services listed mean all of them."""
    return peers_match(rule, peer) and services_match(rule, request)


def peers_match(rule: Rule, peer: Endpoint) -> bool:
    """Whether the rule is about this peer."""
    return not rule.peers or any(peer_matches(item, peer) for item in rule.peers)


def services_match(rule: Rule, request: Request) -> bool:
    """Whether the rule is about what is asked for."""
    return not rule.services or any(service_matches(item, request) for item in rule.services)


def peer_matches(peer: Peer, end: Endpoint) -> bool:
    """All criteria that are given. A selector needs a known workload, networks need a known address."""
    if peer.selector is not None and (end.labels is None or not selects(peer.selector, end.labels)):
        return False
    if not peer.networks and not peer.not_networks:
        return True
    return networks_match(peer.networks, peer.not_networks, end.address)


def networks_match(networks: tuple[Network, ...], not_networks: tuple[Network, ...], address: Address | None) -> bool:
    """Inside any of `networks` (none given: anywhere) and outside all of `not_networks`; False without an address."""
    if address is None:
        return False
    inside = not networks or any(address in network for network in networks)
    return inside and not any(address in network for network in not_networks)


def service_matches(service: Service, request: Request) -> bool:
    """Protocol, destination port and ICMP type and code, as far as the service names them."""
    if service.protocol is not None and service.protocol != request.protocol:
        return False
    if service.ports and not any(
        request.port is not None and item.first <= request.port <= item.last for item in service.ports
    ):
        return False
    if service.icmp_type is not None and service.icmp_type != request.icmp_type:
        return False
    return service.icmp_code is None or service.icmp_code == request.icmp_code

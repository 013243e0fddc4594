"""Executes a `Ruleset` against packets, rule by rule, as a kernel would: addresses and numbers only, no labels."""

from __future__ import annotations

from policy_engine.endpoint import Request
from ringfence.model.policy import Service
from ringfence.model.ruleset import AddressSet, Ruleset, RulesetRule
from ringfence.model.verdict import Direction
from ringfence.model.workload import Address


def execute(ruleset: Ruleset, direction: Direction, peer: Address, request: Request) -> RulesetRule:
    """The rule that decides: the first match.

    Raises:
        LookupError: no rule matched, or a rule names a set that the ruleset does not have.
    """
    sets = {item.name: item for item in ruleset.sets}
    for rule in ruleset.rules(direction):
        if _matches(rule, sets, peer, request):
            return rule
    raise LookupError("the list does not end in a rule that matches everything")


def _matches(rule: RulesetRule, sets: dict[str, AddressSet], peer: Address, request: Request) -> bool:
    if rule.peers is not None and not _contains(sets[rule.peers], peer):
        return False
    if rule.not_peers is not None and _contains(sets[rule.not_peers], peer):
        return False
    return _serves(rule.service, request)


def _contains(addresses: AddressSet, peer: Address) -> bool:
    members = addresses.ipv4 if peer.version == 4 else addresses.ipv6
    number = int(peer)
    return any(int(item.network_address) <= number <= int(item.broadcast_address) for item in members)


def _serves(service: Service, request: Request) -> bool:
    if service.protocol not in (None, request.protocol):
        return False
    ports = [(item.first, item.last) for item in service.ports]
    if ports and (request.port is None or not any(first <= request.port <= last for first, last in ports)):
        return False
    if service.icmp_type not in (None, request.icmp_type):
        return False
    return service.icmp_code in (None, request.icmp_code)

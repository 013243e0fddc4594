"""Policy and inventory to one `Ruleset` per workload: only the rules that select it, peers resolved to addresses.

A container that shares another's network namespace has no packets of its own: the namespace follows the policy of the
workload it belongs to, and only that workload is a peer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from policy_engine.addresses import (
    Addresses,
    address_set,
    addresses,
    common,
    difference,
    disjoint,
    host_network,
    own_parts,
)
from policy_engine.flatten import FlatTier, Line, Match, flatten
from policy_engine.matching import selects
from policy_engine.modes import UNRULED, mode_of
from policy_engine.places import hosts_of, with_host_addresses
from ringfence.model.policy import Action, Network, Peer, Policy, PolicySet, Rule, Service, Tier
from ringfence.model.ruleset import (
    DEFAULT_ALLOW_RULE,
    UNENFORCED_RULE,
    Ruleset,
    RulesetRule,
    reserved_ref,
)
from ringfence.model.verdict import Direction, Mode, RuleRef
from ringfence.model.workload import Workload, WorkloadKind

Number = Callable[[RuleRef], int]
Held = tuple[Network, Workload]
"""A network that belongs to a workload, beside the addresses of its attachments."""


def compile_rulesets(
    policies: PolicySet, workloads: Sequence[Workload], number: Number, held: Sequence[Held] = ()
) -> dict[str, Ruleset]:
    """Rulesets by workload id, for each running workload that has a network namespace and is not the host itself.

    `number` is given a reference that `numbering.numbered` lists and returns its number. `held`: the networks of
    named external workloads, and what running workloads hold besides, such as link-local addresses.

    Raises:
        RulesetTooLarge: the pass rules of one workload multiply beyond 50,000 lines.
    """
    known = namespace_owners(workloads)
    compiler = _Compiler(policies, _places(known, held), number)
    return {item.id: compiler.ruleset(item) for item in known if is_judged(item)}


def is_judged(workload: Workload) -> bool:
    """Hosts and what is outside are peers only: no rules are written for them."""
    return workload.kind not in UNRULED and (workload.netns is not None or workload.netns_path is not None)


def namespace_owners(workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """Running workloads without those that only joined the namespace of another one of them; in order of id."""
    running = sorted((item for item in workloads if item.running), key=lambda item: item.id)
    owned = {(item.host, item.netns) for item in running if not item.joined and item.netns is not None}
    return tuple(item for item in running if not item.joined or (item.host, item.netns) not in owned)


def _places(known: Sequence[Workload], held: Sequence[Held]) -> list[tuple[Workload, tuple[Network, ...]]]:
    """What belongs to each workload: of an external network only what nobody else holds, as flows are attributed."""
    workloads = {item.id: item for item in with_host_addresses(known)}
    networks = {item.id: {host_network(address) for address in item.addresses} for item in workloads.values()}
    guests: dict[str, list[str]] = {}
    for guest, host in hosts_of(known).items():
        guests.setdefault(host.id, []).append(guest)
    for network, item in held:
        if item.kind is WorkloadKind.EXTERNAL:
            workloads.setdefault(item.id, item)
        for id_ in (item.id, *guests.get(item.id, ())):
            if id_ in workloads:
                networks.setdefault(id_, set()).add(network)
    own = own_parts(network for mine in networks.values() for network in mine)
    return [
        (item, tuple(part for network in networks[id_] for part in own[network])) for id_, item in workloads.items()
    ]


class _Compiler:
    """Compiles once per label set: workloads with equal labels have equal rules."""

    def __init__(
        self, policies: PolicySet, places: Sequence[tuple[Workload, tuple[Network, ...]]], number: Number
    ) -> None:
        self._policies = policies
        self._places = places
        self._number = number
        self._numbers: dict[RuleRef, int] = {}
        self._members: dict[str, tuple[Network, ...]] = {}
        self._lines: dict[RuleRef, tuple[Line, ...]] = {}
        self._rulesets: dict[tuple[tuple[str, str], ...], Ruleset] = {}

    def ruleset(self, workload: Workload) -> Ruleset:
        identity = tuple(sorted(workload.labels.items()))
        found = self._rulesets.get(identity)
        if found is None:
            found = self._rulesets[identity] = self._compile(workload.labels)
        return dataclasses.replace(found, workload=workload.id)

    def _compile(self, labels: Mapping[str, str]) -> Ruleset:
        mode = mode_of(self._policies, labels)
        if mode is not Mode.PROTECT:
            ingress, egress = (_unenforced(direction) for direction in (Direction.INGRESS, Direction.EGRESS))
            return Ruleset(workload="", mode=mode, ingress=ingress, egress=egress)
        sets: dict[str, Addresses] = {}
        rules = {direction: self._rules(labels, direction, sets) for direction in Direction}
        return Ruleset(
            workload="",
            mode=mode,
            ingress=rules[Direction.INGRESS],
            egress=rules[Direction.EGRESS],
            sets=tuple(address_set(sets[name]) for name in sorted(sets)),
        )

    def _rules(
        self, labels: Mapping[str, str], direction: Direction, sets: dict[str, Addresses]
    ) -> tuple[RulesetRule, ...]:
        tiers = [flat for tier in self._policies.tiers if (flat := self._tier(tier, labels, direction)) is not None]
        end_ref = RuleRef(tier="", policy="", direction=direction, index=-1)
        self._numbers[end_ref] = DEFAULT_ALLOW_RULE
        lines = flatten(tiers, Line(Match(), end_ref, Action.ALLOW))
        for line in lines:
            sets.update({item.name: item for item in (line.match.include, line.match.exclude) if item is not None})
        return tuple(self._ruleset_rule(line) for line in lines)

    def _tier(self, tier: Tier, labels: Mapping[str, str], direction: Direction) -> FlatTier | None:
        chosen = [
            policy
            for policy in tier.policies
            if policy.rules(direction) is not None and selects(policy.selector, labels)
        ]
        if not chosen:
            return None
        ref = RuleRef(tier=tier.name, policy="", direction=direction, index=-1)
        if tier.default is not Action.PASS and ref not in self._numbers:
            self._numbers[ref] = self._number(ref)
        lines = tuple(line for policy in chosen for line in self._policy_lines(policy, direction))
        return FlatTier(lines, Line(Match(), ref, tier.default))

    def _policy_lines(self, policy: Policy, direction: Direction) -> Iterator[Line]:
        for index, rule in enumerate(policy.rules(direction) or ()):
            ref = RuleRef(tier=policy.tier, policy=policy.name, direction=direction, index=index)
            if ref not in self._lines:
                self._lines[ref] = tuple(Line(match, ref, rule.action) for match in self._matches(rule))
                if rule.action is not Action.PASS:
                    self._numbers[ref] = self._number(ref)
            yield from self._lines[ref]

    def _matches(self, rule: Rule) -> Iterator[Match]:
        services = rule.services or (Service(),)
        for include, exclude in self._peers(rule.peers):
            for service in services:
                yield Match(include, exclude, service)

    def _peers(self, peers: tuple[Peer, ...]) -> Iterator[tuple[Addresses | None, Addresses | None]]:
        """Pairs of included and excluded addresses; together they are what any of the peers matches."""
        if not peers or any(peer == Peer() for peer in peers):
            yield None, None
            return
        plain = [peer for peer in peers if peer.selector is not None or not peer.not_networks]
        if plain:
            members = [network for peer in plain for network in self._plain_members(peer)]
            yield addresses(repr(plain), members), None
        for peer in peers:
            if peer not in plain:
                included = addresses(repr(("in", peer.networks)), peer.networks) if peer.networks else None
                yield included, addresses(repr(("not in", peer.not_networks)), peer.not_networks)

    def _plain_members(self, peer: Peer) -> tuple[Network, ...]:
        if peer.selector is None:
            return peer.networks
        members = self._selected(peer.selector.text, peer)
        if peer.networks:
            members = common(members, peer.networks)
        return difference(members, peer.not_networks) if peer.not_networks else members

    def _selected(self, text: str, peer: Peer) -> tuple[Network, ...]:
        """What the selected workloads hold now."""
        if text not in self._members:
            selector = peer.selector
            self._members[text] = disjoint(
                network
                for workload, networks in self._places
                if selector is not None and selects(selector, workload.labels)
                for network in networks
            )
        return self._members[text]

    def _ruleset_rule(self, line: Line) -> RulesetRule:
        return RulesetRule(
            number=self._numbers[line.ref],
            ref=line.ref,
            allow=line.action is Action.ALLOW,
            reject=line.action is Action.REJECT,
            peers=line.match.include.name if line.match.include else None,
            not_peers=line.match.exclude.name if line.match.exclude else None,
            service=line.match.service,
        )


def _unenforced(direction: Direction) -> tuple[RulesetRule, ...]:
    ref = reserved_ref(UNENFORCED_RULE, direction)
    return () if ref is None else (RulesetRule(number=UNENFORCED_RULE, ref=ref, allow=True),)

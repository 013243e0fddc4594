"""Policy and inventory to one `Ruleset` per workload: only the rules that select it, peers resolved to addresses.

A container that shares another's network namespace has no packets of its own: the namespace follows the policy of the
workload it belongs to, and only that workload is a peer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from policy_engine.addresses import (
    Addresses,
    address_set,
    addresses,
    common,
    difference,
)
from policy_engine.flatten import FlatTier, Line, Match, RulesetTooLarge, flatten
from policy_engine.matching import selects
from policy_engine.modes import UNRULED, mode_of
from policy_engine.places import Held, Places
from ringfence.model.policy import Action, Network, Peer, Policy, PolicySet, Rule, Selector, Service, Tier
from ringfence.model.ruleset import (
    DEFAULT_ALLOW_RULE,
    UNENFORCED_RULE,
    Ruleset,
    RulesetRule,
    reserved_ref,
)
from ringfence.model.verdict import Direction, Mode, RuleRef
from ringfence.model.workload import Workload

Number = Callable[[RuleRef], int]
NO_MACHINES: Mapping[str, str] = MappingProxyType({})


def compile_rulesets(
    policies: PolicySet,
    workloads: Sequence[Workload],
    number: Number,
    held: Sequence[Held] = (),
    machines: Mapping[str, str] = NO_MACHINES,
) -> dict[str, Ruleset]:
    """Rulesets by workload id, for each running workload that has a network namespace and is not the host itself.

    `number` is given a reference that `numbering.numbered` lists and returns its number. `held`: the networks of
    named external workloads, and what running workloads hold besides, such as link-local addresses. `machines`: the
    host that an engine runs on, where it is called otherwise than the engine.

    A workload whose pass rules multiply beyond 50,000 lines gets a ruleset that says so in its `problem`.
    """
    known = namespace_owners(workloads)
    places = Places(known, held, machines)
    compilers: dict[str, _Compiler] = {}
    rulesets: dict[str, Ruleset] = {}
    for item in filter(is_judged, known):
        machine = places.machine(item)
        if machine not in compilers:
            compilers[machine] = _Compiler(policies, partial(places.selected, machine=machine), number)
        rulesets[item.id] = compilers[machine].ruleset(item)
    return rulesets


def is_judged(workload: Workload) -> bool:
    """Hosts and what is outside are peers only: no rules are written for them."""
    return workload.kind not in UNRULED and (workload.netns is not None or workload.netns_path is not None)


def namespace_owners(workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """Running workloads without those that only joined the namespace of another one of them; in order of id."""
    running = sorted((item for item in workloads if item.running), key=lambda item: item.id)
    owned = {(item.host, item.netns) for item in running if not item.joined and item.netns is not None}
    return tuple(item for item in running if not item.joined or (item.host, item.netns) not in owned)


class _Compiler:
    """Compiles for one host, once per label set: its workloads with equal labels have equal rules."""

    def __init__(
        self, policies: PolicySet, selected: Callable[[Selector], tuple[Network, ...]], number: Number
    ) -> None:
        self._policies = policies
        self._selected = selected
        self._number = number
        self._numbers: dict[RuleRef, int] = {}
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
        try:
            rules = {direction: self._rules(labels, direction, sets) for direction in Direction}
        except RulesetTooLarge as error:
            return Ruleset(workload="", mode=mode, ingress=(), egress=(), problem=f"{error}: {error.hint}")
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
        members = self._selected(peer.selector)
        if peer.networks:
            members = common(members, peer.networks)
        return difference(members, peer.not_networks) if peer.not_networks else members

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

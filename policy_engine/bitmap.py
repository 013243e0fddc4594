"""The fast form of a policy: one bit per rule, in the order of evaluation, so the lowest common bit decides.

A rule's bit is set in the mask of each label set that its policy selects, of each peer it names and of each service it
names. The verdict is the lowest bit of the three masks' conjunction; a `pass` rule clears the rest of its tier.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import TypeVar

from policy_engine.endpoint import Endpoint, Request
from policy_engine.identity import LabelItems, identity_of
from policy_engine.matching import service_matches
from policy_engine.networks import NetworkIndex
from policy_engine.selector import compile_selector
from ringfence.model.policy import Action, Peer, PolicySet, Selector, Service
from ringfence.model.verdict import Direction, RuleRef

Key = TypeVar("Key")

CACHE_SIZE = 65_536
NOBODY = -1
"""The decision when no rule and no tier's default decides."""


class Bitmap:
    """One direction of a policy set. Thread-safe for reading: caches only ever hold equal values."""

    def __init__(self, policies: PolicySet, direction: Direction) -> None:
        self.direction = direction
        self.refs: list[RuleRef] = []
        self.actions: list[Action] = []
        self._after: list[int] = []
        self._subjects: dict[Selector, int] = {}
        self._peers: dict[Peer, int] = {}
        self._services: dict[Service, int] = {}
        self._any_peer = self._any_service = 0
        self._defaults: list[tuple[int, int]] = []
        for tier in policies.tiers:
            start = len(self.refs)
            tier_subjects: list[tuple[Selector, int]] = []
            for policy in tier.policies:
                rules = policy.rules(direction)
                if rules is None:
                    continue
                first = len(self.refs)
                for index, rule in enumerate(rules):
                    ref = RuleRef(tier=tier.name, policy=policy.name, direction=direction, index=index)
                    bit = self._add(ref, rule.action)
                    self._note(bit, rule.peers, rule.services)
                tier_subjects.append((policy.selector, (1 << len(self.refs)) - (1 << first)))
            if tier_subjects:
                default = self._add(RuleRef(tier=tier.name, policy="", direction=direction, index=-1), tier.default)
                self._note(default, (), ())
                for selector, mask in tier_subjects:
                    self._subjects[selector] = self._subjects.get(selector, 0) | mask | default
            rest = -1 << len(self.refs)
            self._after += [rest] * (len(self.refs) - start)
        self._matchers = [(compile_selector(item.text), bits) for item, bits in self._subjects.items()]
        self._peer_matchers = [
            (None if item.selector is None else compile_selector(item.selector.text), 1 << index)
            for index, item in enumerate(self._peers)
        ]
        self._networks = NetworkIndex([(peer.networks, peer.not_networks) for peer in self._peers])
        self._peer_masks = list(self._peers.values())
        self._cuts = sorted({cut for item in self._services for p in item.ports for cut in (p.first, p.last + 1)})
        self._subject_cache: dict[LabelItems, int] = {}
        self._selector_cache: dict[LabelItems | None, int] = {}
        self._peer_cache: dict[int, int] = {}
        self._service_cache: dict[tuple[int, int, int | None, int | None], int] = {}

    def _add(self, ref: RuleRef, action: Action) -> int:
        self.refs.append(ref)
        self.actions.append(action)
        return 1 << (len(self.refs) - 1)

    def _note(self, bit: int, peers: tuple[Peer, ...], services: tuple[Service, ...]) -> None:
        if not peers or Peer() in peers:
            self._any_peer |= bit
        else:
            for peer in peers:
                self._peers[peer] = self._peers.get(peer, 0) | bit
        if not services or Service() in services:
            self._any_service |= bit
        else:
            for service in services:
                self._services[service] = self._services.get(service, 0) | bit

    def decide(self, subject: int, peer: int, service: int) -> int:
        """The index into `refs` and `actions` that decides, or `NOBODY`."""
        left = subject & peer & service
        while left:
            lowest = (left & -left).bit_length() - 1
            if self.actions[lowest] is not Action.PASS:
                return lowest
            left &= self._after[lowest]
        return NOBODY

    def subject(self, end: Endpoint) -> int:
        """The rules of the policies that select this end; 0 when none does, or when it has no policies of its own."""
        if end.labels is None or not end.governed:
            return 0
        key = identity_of(end.labels).labels
        mask = self._subject_cache.get(key)
        if mask is None:
            mask = 0
            for matcher, bits in self._matchers:
                if matcher.test(end.labels):
                    mask |= bits
            _keep(self._subject_cache, key, mask)
        return mask

    def peer(self, end: Endpoint) -> int:
        """The rules whose peers match this end."""
        bits = self._selectors(end.labels) & self._networks.bits(end.address)
        mask = self._peer_cache.get(bits)
        if mask is None:
            mask, left = self._any_peer, bits
            while left:
                lowest = left & -left
                mask |= self._peer_masks[lowest.bit_length() - 1]
                left ^= lowest
            _keep(self._peer_cache, bits, mask)
        return mask

    def service(self, request: Request) -> int:
        """The rules whose services match. Ports between two cuts behave alike, so they share an entry."""
        port_class = -1 if request.port is None else bisect_right(self._cuts, request.port)
        key = (request.protocol, port_class, request.icmp_type, request.icmp_code)
        mask = self._service_cache.get(key)
        if mask is None:
            mask = self._any_service
            for service, bits in self._services.items():
                if service_matches(service, request):
                    mask |= bits
            _keep(self._service_cache, key, mask)
        return mask

    def _selectors(self, labels: Mapping[str, str] | None) -> int:
        """One bit per distinct peer whose selector matches, or that has none."""
        key = None if labels is None else identity_of(labels).labels
        bits = self._selector_cache.get(key)
        if bits is None:
            bits = 0
            for matcher, bit in self._peer_matchers:
                if matcher is None or (labels is not None and matcher.test(labels)):
                    bits |= bit
            _keep(self._selector_cache, key, bits)
        return bits


def _keep(cache: dict[Key, int], key: Key, value: int) -> None:
    if len(cache) >= CACHE_SIZE:
        cache.clear()
    cache[key] = value

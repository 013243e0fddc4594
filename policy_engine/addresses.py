"""Sets of addresses with a stable name: the name follows the definition, so members come and go without a new rule."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network, summarize_address_range
from typing import Any

from ringfence.model.policy import Network
from ringfence.model.ruleset import AddressSet
from ringfence.model.workload import Address


@dataclass(frozen=True, slots=True)
class Addresses:
    """`key` is a digest of the definition; `members` are sorted, and none lies within another."""

    key: str
    members: tuple[Network, ...]

    @property
    def name(self) -> str:
        return f"a{self.key[:16]}"


def addresses(definition: str, members: Iterable[Network]) -> Addresses:
    """A set of networks under the digest of its definition."""
    return Addresses(hashlib.sha256(definition.encode()).hexdigest(), disjoint(members))


def union(one: Addresses, other: Addresses) -> Addresses:
    return addresses(f"{one.key}|{other.key}", (*one.members, *other.members))


def intersection(one: Addresses, other: Addresses) -> Addresses:
    return addresses(f"{one.key}&{other.key}", common(one.members, other.members))


def common(one: Iterable[Network], other: Iterable[Network]) -> tuple[Network, ...]:
    """Networks nest or are disjoint, so each common part is the smaller of two overlapping members."""
    found: list[Network] = []
    left, right = disjoint(one), disjoint(other)
    i = j = 0
    while i < len(left) and j < len(right):
        a, b = left[i], right[j]
        if a.version == b.version and a.overlaps(b):
            found.append(a if a.prefixlen >= b.prefixlen else b)
        if _end(a) <= _end(b):
            i += 1
        else:
            j += 1
    return tuple(found)


def disjoint(members: Iterable[Network]) -> tuple[Network, ...]:
    """Sorted by family and address, without duplicates and without what lies within another member."""
    kept: list[Network] = []
    for network in sorted(members, key=lambda item: (item.version, int(item.network_address), item.prefixlen)):
        if not (kept and kept[-1].version == network.version and kept[-1].overlaps(network)):
            kept.append(network)
    return tuple(kept)


def difference(one: Iterable[Network], other: Iterable[Network]) -> tuple[Network, ...]:
    """What lies in `one` and not in `other`; sorted, none within another."""
    holes, first = disjoint(other), 0
    kept: list[Network] = []
    for network in disjoint(one):
        while first < len(holes) and _end(holes[first]) < _start(network):
            first += 1
        last = first
        while last < len(holes) and _start(holes[last]) <= _end(network):
            last += 1
        kept += _without(network, holes[first:last])
    return tuple(kept)


def own_parts(networks: Iterable[Network]) -> dict[Network, tuple[Network, ...]]:
    """Each network without the smaller ones within it: an address belongs to the smallest network around it."""
    inner: dict[Network, list[Network]] = {}
    around: list[Network] = []
    for network in sorted(set(networks), key=lambda item: (*_start(item), item.prefixlen)):
        while around and _end(around[-1]) < _start(network):
            around.pop()
        if around:
            inner[around[-1]].append(network)
        inner[network] = []
        around.append(network)
    return {network: difference((network,), holes) if holes else (network,) for network, holes in inner.items()}


def _without(network: Network, holes: Sequence[Network]) -> Iterable[Network]:
    """`holes` overlap the network, and are sorted and disjoint."""
    if not holes or holes[0].prefixlen <= network.prefixlen:
        return () if holes else (network,)
    make: Any = type(network.network_address)
    edges = [int(network.network_address)]
    for hole in holes:
        edges += [int(hole.network_address) - 1, int(hole.broadcast_address) + 1]
    edges.append(int(network.broadcast_address))
    return [
        part
        for first, last in zip(edges[::2], edges[1::2], strict=True)
        if first <= last
        for part in summarize_address_range(make(first), make(last))
    ]


def host_network(address: Address) -> Network:
    return ip_network(address)


def address_set(item: Addresses) -> AddressSet:
    """The form that an enforcer takes."""
    return AddressSet(
        name=item.name,
        ipv4=tuple(network for network in item.members if isinstance(network, IPv4Network)),
        ipv6=tuple(network for network in item.members if isinstance(network, IPv6Network)),
    )


def _start(network: Network) -> tuple[int, int]:
    return network.version, int(network.network_address)


def _end(network: Network) -> tuple[int, int]:
    return network.version, int(network.broadcast_address)

"""Sets of addresses with a stable name: the name follows the definition, so members come and go without a new rule."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from ringfence.model.policy import Network
from ringfence.model.ruleset import AddressSet
from ringfence.model.workload import Address

HALVES: dict[Network, tuple[Network, Network]] = {
    ip_network("0.0.0.0/0"): (ip_network("0.0.0.0/1"), ip_network("128.0.0.0/1")),
    ip_network("::/0"): (ip_network("::/1"), ip_network("8000::/1")),
}
"""Kernel sets of networks take no prefix of length 0."""


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
    """Networks nest or are disjoint, so each common part is the smaller of two overlapping members."""
    common: list[Network] = []
    left, right = list(one.members), list(other.members)
    i = j = 0
    while i < len(left) and j < len(right):
        a, b = left[i], right[j]
        if a.version == b.version and a.overlaps(b):
            common.append(a if a.prefixlen >= b.prefixlen else b)
        if _end(a) <= _end(b):
            i += 1
        else:
            j += 1
    return addresses(f"{one.key}&{other.key}", common)


def disjoint(members: Iterable[Network]) -> tuple[Network, ...]:
    """Sorted by family and address, without duplicates and without what lies within another member."""
    kept: list[Network] = []
    for network in sorted(members, key=lambda item: (item.version, int(item.network_address), item.prefixlen)):
        if not (kept and kept[-1].version == network.version and kept[-1].overlaps(network)):
            kept.append(network)
    return tuple(kept)


def host_network(address: Address) -> Network:
    return ip_network(address)


def address_set(item: Addresses) -> AddressSet:
    """The form that an enforcer takes."""
    whole = [half for network in item.members for half in HALVES.get(network, (network,))]
    return AddressSet(
        name=item.name,
        ipv4=tuple(network for network in whole if isinstance(network, IPv4Network)),
        ipv6=tuple(network for network in whole if isinstance(network, IPv6Network)),
    )


def _end(network: Network) -> tuple[int, int]:
    return network.version, int(network.broadcast_address)

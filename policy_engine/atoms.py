"""The smallest cells that policies can tell apart: classes of ends and atoms of services.

Everything in one cell gets one verdict from every policy set in question, so comparing the cells compares all
connections exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import Any

from policy_engine.compile import namespace_owners
from policy_engine.endpoint import Endpoint, Request
from policy_engine.places import with_host_addresses
from policy_engine.services import ICMP_PROTOCOLS, PORT_PROTOCOLS
from ringfence.model.flow import PROTOCOL_NAMES
from ringfence.model.policy import Network, PolicySet, Rule, Service
from ringfence.model.verdict import Direction
from ringfence.model.workload import Address, Workload, WorkloadKind

OTHER_PROTOCOL = 253
"""Stands for every protocol that no policy names (reserved for experiments by RFC 3692)."""
COMMON_PROTOCOLS = frozenset({1, 6, 17, 58})
ADDRESS_BITS = {4: 32, 6: 128}
ADDRESS_TYPES: dict[int, type[IPv4Address] | type[IPv6Address]] = {4: IPv4Address, 6: IPv6Address}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAtom:
    """`request` represents it; `first` and `last` are its ports.

    `rest` marks what no policy names: protocols beside the common ones and `named`, or ICMP types beside `named`.
    """

    request: Request
    first: int | None = None
    last: int | None = None
    rest: bool = False
    named: tuple[int, ...] = ()

    def exists_in(self, family: int) -> bool:
        """ICMP is IPv4's, ICMPv6 is IPv6's."""
        return self.request.protocol != {4: 58, 6: 1}[family]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """`endpoint` represents it; its name is a workload's or networks. `workload` is an id, None for outsiders that
    have no name.
    """

    endpoint: Endpoint
    workload: str | None
    family: int


def all_rules(sets: Iterable[PolicySet]) -> list[Rule]:
    return [
        rule
        for policies in sets
        for tier in policies.tiers
        for policy in tier.policies
        for direction in Direction
        for rule in policy.rules(direction) or ()
    ]


def service_atoms(rules: Sequence[Rule]) -> tuple[ServiceAtom, ...]:
    """Atoms of all services by protocol and port: TCP, UDP and ICMP always, others where a rule names them."""
    services = {service for rule in rules for service in rule.services}
    protocols = COMMON_PROTOCOLS | {item.protocol for item in services if item.protocol is not None}
    atoms: list[ServiceAtom] = []
    for protocol in sorted(protocols):
        own = [item for item in services if item.protocol == protocol]
        if protocol in PORT_PROTOCOLS:
            atoms += _port_atoms(protocol, own)
        elif protocol in ICMP_PROTOCOLS:
            atoms += _icmp_atoms(protocol, own)
        else:
            atoms.append(ServiceAtom(request=Request(protocol=protocol)))
    rest = OTHER_PROTOCOL if OTHER_PROTOCOL not in protocols else min(set(range(1, 256)) - protocols)
    named = tuple(sorted(protocols - COMMON_PROTOCOLS))
    return (*atoms, ServiceAtom(request=Request(protocol=rest), rest=True, named=named))


def services_text(atoms: Sequence[ServiceAtom]) -> tuple[str, ...]:
    """Words for atoms in their order: `tcp/5432`, `udp/8000-8100`, `tcp` for every port; neighbours are joined."""
    words: list[str] = []
    spans: list[tuple[int, int, int]] = []
    for atom in atoms:
        if atom.first is None or atom.last is None:
            words.append(_word(atom))
        elif spans and spans[-1][0] == atom.request.protocol and spans[-1][2] + 1 == atom.first:
            spans[-1] = (spans[-1][0], spans[-1][1], atom.last)
        else:
            spans.append((atom.request.protocol, atom.first, atom.last))
    return (*(_span_text(*span) for span in spans), *dict.fromkeys(words))


def ends(rules: Sequence[Rule], workloads: Sequence[Workload]) -> tuple[End, ...]:
    """Each current address of each workload, and each stretch of addresses outside that the rules or the named
    external networks among `workloads` tell apart.
    """
    known = with_host_addresses(namespace_owners(workloads))
    found = [
        End(endpoint=_endpoint(item, address), workload=item.id, family=address.version)
        for item in known
        for address in item.addresses
    ]
    taken = {address for item in known for address in item.addresses}
    networks = {network for rule in rules for peer in rule.peers for network in (*peer.networks, *peer.not_networks)}
    named = {network: item for item in known for network in item.networks}
    for family in (4, 6):
        found += _outside(
            family,
            [item for item in networks if item.version == family],
            {network: item for network, item in named.items() if network.version == family},
            taken,
        )
    return tuple(found)


def _endpoint(workload: Workload, address: Address) -> Endpoint:
    return Endpoint(
        name=workload.name,
        labels=workload.labels,
        address=address,
        governed=workload.kind is not WorkloadKind.EXTERNAL,
    )


def _outside(
    family: int, networks: Sequence[Network], named: Mapping[Network, Workload], taken: set[Address]
) -> list[End]:
    """Stretches between the cuts that the networks make; what lies inside the same networks of rules and belongs to
    the same named network (the smallest one around it) is one stretch.
    """
    make: Any = ADDRESS_TYPES[family]
    around = {*networks, *named}
    edges = {edge for n in around for edge in (int(n.network_address), int(n.broadcast_address) + 1)}
    groups: dict[tuple[frozenset[Network], Network | None], list[tuple[int, int]]] = {}
    for first, after in pairwise(sorted({0, 1 << ADDRESS_BITS[family]} | edges)):
        inside = frozenset(n for n in networks if _spans(n, first))
        own = max((n for n in named if _spans(n, first)), key=lambda n: n.prefixlen, default=None)
        groups.setdefault((inside, own), []).append((first, after - 1))
    found = []
    for (inside, own), spans in groups.items():
        free = (make(number) for first, last in spans for number in range(first, min(last, first + len(taken)) + 1))
        address = next((item for item in free if item not in taken), None)
        if address is None:
            continue
        if own is not None:
            found.append(End(endpoint=_endpoint(named[own], address), workload=named[own].id, family=family))
        else:
            name = _stretch_name(family, inside, networks)
            found.append(End(endpoint=Endpoint(name=name, address=address), workload=None, family=family))
    return found


def _spans(network: Network, number: int) -> bool:
    return int(network.network_address) <= number <= int(network.broadcast_address)


def _stretch_name(family: int, inside: frozenset[Network], networks: Sequence[Network]) -> str:
    """Networks nest, so the smallest one around a stretch, without what lies in it, names the stretch."""
    if not inside:
        return f"any other IPv{family} address" if networks else f"any IPv{family} address outside"
    smallest = max(inside, key=lambda item: item.prefixlen)
    holes = any(item != smallest and item.overlaps(smallest) and item not in inside for item in networks)
    return f"the rest of {smallest}" if holes else str(smallest)


def _port_atoms(protocol: int, services: Sequence[Service]) -> list[ServiceAtom]:
    cuts = sorted({0, 65536} | {cut for item in services for p in item.ports for cut in (p.first, p.last + 1)})
    return [
        ServiceAtom(request=Request(protocol=protocol, port=first), first=first, last=after - 1)
        for first, after in pairwise(cuts)
    ]


def _icmp_atoms(protocol: int, services: Sequence[Service]) -> list[ServiceAtom]:
    """Each type that is named, with each code that is named for it and one other; and one type that is not named."""
    types = {item.icmp_type for item in services if item.icmp_type is not None}
    codes = {item.icmp_code for item in services if item.icmp_code is not None}
    kinds: list[int | None] = [*sorted(types), _unused(types)] if types else [None]
    details: list[int | None] = [*sorted(codes), _unused(codes)] if codes else [None]
    return [
        ServiceAtom(
            request=Request(protocol=protocol, icmp_type=kind, icmp_code=code),
            rest=bool(types) and kind not in types,
            named=tuple(sorted(types)),
        )
        for kind in kinds
        for code in details
    ]


def _unused(values: set[int]) -> int:
    return next((number for number in range(255, -1, -1) if number not in values), 0)


def _word(atom: ServiceAtom) -> str:
    if not atom.rest:
        return str(atom.request)
    named = ", ".join(str(number) for number in atom.named)
    if atom.request.protocol in ICMP_PROTOCOLS:
        return f"{PROTOCOL_NAMES[atom.request.protocol]} except type {named}"
    return f"any other protocol except {named}" if named else "any other protocol"


def _span_text(protocol: int, first: int, last: int) -> str:
    name = PROTOCOL_NAMES.get(protocol, f"protocol {protocol}")
    if (first, last) == (0, 65535):
        return name
    return f"{name}/{first}" if first == last else f"{name}/{first}-{last}"

"""What may pass the outer end of a quarantined interface, as classic BPF over whole frames. Pure.

A packet socket in the namespace sends and receives frames that no rule there sees; its frames still pass the other
end of the interface, where it cannot reach. `man 7 packet`, Linux' `Documentation/networking/filter.rst`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from enforcer.names import Network
from enforcer.render import ICMP, ICMPV6, WITH_PORTS
from ringfence.errors import EnforcementFailed
from ringfence.model.policy import PortInterval, Service
from ringfence.model.quarantine import ControlledAccess
from ringfence.model.verdict import Direction

DROP = "6 0 0 2"
"""Return TC_ACT_SHOT."""
GO_ON = "6 0 0 4294967295"
"""Return TC_ACT_UNSPEC: whoever else filters there still has a say."""
MOST_INSTRUCTIONS = 4096
"""BPF_MAXINSNS."""
LOAD_WORD, LOAD_HALF, LOAD_BYTE, LOAD_HALF_AT, LOAD_BYTE_AT = 0x20, 0x28, 0x30, 0x48, 0x50
LOAD_LENGTH, HEADER_LENGTH, SUBTRACT, AND = 0x80, 0xB1, 0x14, 0x54
EQUAL, AT_LEAST, ABOVE, ANY_BIT, AT_LEAST_INDEX = 0x15, 0x35, 0x25, 0x45, 0x3D
ETHER_TYPE, IPV4, IPV6, ARP = 12, 0x0800, 0x86DD, 0x0806
VLAN_PRESENT = 0xFFFFF030
"""SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT: the kernel has taken the tag out of the frame."""
Test = tuple[int, int, bool]
"""A jump's code and operand, and whether it must hold."""
Load = tuple[int, int]
Step = Load | Test


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The programs for what the workload sends and what it receives, as `tc ... bytecode` takes them."""

    sent: str
    received: str


def seal_of(access: Sequence[ControlledAccess]) -> Seal:
    """Nothing passes but what the controlled accesses name, both ways, and what address resolution they need.

    The program keeps no state: an answer is told by its addresses and ports alone.

    Raises:
        EnforcementFailed: the list is longer than one program can be.
    """
    return Seal(sent=_program(access, Direction.EGRESS), received=_program(access, Direction.INGRESS))


def _program(access: Sequence[ControlledAccess], way: Direction) -> str:
    lines = [line for block in _blocks(access, way) for line in _block(block)]
    if len(lines) >= MOST_INSTRUCTIONS:
        raise EnforcementFailed("the controlled-access list is too long to hold against packet sockets")
    return ",".join([str(len(lines) + 1), *lines, DROP])


def _block(steps: Sequence[Step]) -> Iterator[str]:
    """Every test must hold to reach the end; one that does not leads behind the block."""
    for place, step in enumerate(steps):
        behind = len(steps) - place
        if len(step) == 2:
            yield f"{step[0]} 0 0 {step[1]}"
        else:
            code, operand, wanted = step
            yield f"{code} 0 {behind} {operand}" if wanted else f"{code} {behind} 0 {operand}"
    yield GO_ON


def _blocks(access: Sequence[ControlledAccess], way: Direction) -> Iterator[tuple[Step, ...]]:
    versions = {item.network.version for item in access}
    if 4 in versions:
        # Ethernet and IPv4, of the usual lengths, with nothing behind but what pads the shortest frame.
        fixed: tuple[Step, ...] = ((LOAD_WORD, 14), (EQUAL, 0x00010800, True), (LOAD_HALF, 18), (EQUAL, 0x0604, True))
        yield (*_ether(ARP, 42), *fixed, (LOAD_LENGTH, 0), (ABOVE, 60, False))
    if 6 in versions:
        # Neighbour and router discovery, types 133 to 136, with the hop limit that proves it local (RFC 4861).
        header: tuple[Step, ...] = ((LOAD_BYTE, 20), (EQUAL, ICMPV6, True), (LOAD_BYTE, 21), (EQUAL, 255, True))
        yield (*_ether(IPV6, 55), *header, (LOAD_BYTE, 54), (AT_LEAST, 133, True), (ABOVE, 136, False))
    for item in access:
        forward = item.direction is way
        outside_first = way is Direction.INGRESS
        address = _addresses(item.network, source=outside_first)
        for service in _services(item.service, item.network.version, forward=forward):
            yield (*address, *service)


def _ether(kind: int, least: int) -> tuple[Step, ...]:
    """The kind of frame, and its least length: a load behind the end would end the program, and let the frame pass."""
    tag: tuple[Step, ...] = ((LOAD_WORD, VLAN_PRESENT), (EQUAL, 0, True))
    return (*tag, (LOAD_HALF, ETHER_TYPE), (EQUAL, kind, True), *_longer(least))


def _longer(least: int) -> tuple[Step, ...]:
    return (LOAD_LENGTH, 0), (AT_LEAST, least, True)


def _addresses(network: Network, *, source: bool) -> tuple[Step, ...]:
    if network.version == 4:
        steps, place = list(_ether(IPV4, 34)), 26 if source else 30
    else:
        steps, place = list(_ether(IPV6, 58)), 22 if source else 38
    address, mask = network.network_address.packed, network.netmask.packed
    for offset in range(0, len(address), 4):
        bits = int.from_bytes(mask[offset : offset + 4])
        if bits:
            steps += [(LOAD_WORD, place + offset), (AND, bits)]
            steps.append((EQUAL, int.from_bytes(address[offset : offset + 4]), True))
    return tuple(steps)


def _services(service: Service, version: int, *, forward: bool) -> Iterator[tuple[Step, ...]]:
    """The tests of a service behind the addresses, one for each port interval; none when the family has no such."""
    if service.protocol in (ICMP, ICMPV6):
        if service.protocol == (ICMP if version == 4 else ICMPV6):
            yield (*_protocol(service.protocol, version), *_icmp(service, version, forward=forward))
    elif service.ports:
        for protocol in WITH_PORTS if service.protocol is None else (service.protocol,):
            for interval in service.ports:
                yield (*_protocol(protocol, version), *_port(interval, version, destination=forward))
    else:
        yield () if service.protocol is None else _protocol(service.protocol, version)


def _protocol(number: int, version: int) -> tuple[Step, ...]:
    return (LOAD_BYTE, 23 if version == 4 else 20), (EQUAL, number, True)


def _port(interval: PortInterval, version: int, *, destination: bool) -> tuple[Step, ...]:
    within: tuple[Step, ...] = ((AT_LEAST, interval.first, True), (ABOVE, interval.last, False))
    offset = 2 if destination else 0
    if version == 6:
        return ((LOAD_HALF, 54 + offset), *within)
    return (*_behind_header(), (LOAD_HALF_AT, 14 + offset), *within)


def _icmp(service: Service, version: int, *, forward: bool) -> tuple[Step, ...]:
    if not forward or service.icmp_type is None:
        return ()
    if version == 6:
        return (LOAD_BYTE, 54), (EQUAL, service.icmp_type, True)
    return (*_behind_header(), (LOAD_BYTE_AT, 14), (EQUAL, service.icmp_type, True))


def _behind_header() -> tuple[Step, ...]:
    """No later fragment, which has no ports; then the length of the IPv4 header as index, with four bytes behind it."""
    first: tuple[Step, ...] = ((LOAD_HALF, 20), (ANY_BIT, 0x1FFF, False))
    return (*first, (HEADER_LENGTH, 14), (LOAD_LENGTH, 0), (SUBTRACT, 18), (AT_LEAST_INDEX, 0, True))

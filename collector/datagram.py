"""The headers of one IP packet, as far as a log copies them: addresses, protocol, ports, ICMP type, TCP flags."""

from __future__ import annotations

import socket
from typing import NamedTuple

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
PORT_PROTOCOLS = frozenset({TCP, UDP, 33, 132, 136})
"""TCP, UDP, DCCP, SCTP, UDPlite: ports stand in the first four bytes."""
NUMBERED = {ICMP: frozenset({0, 8, *range(13, 19)}), ICMPV6: frozenset({128, 129, 139, 140})}
"""The ICMP types whose fifth and sixth byte number a conversation: those that connection tracking follows."""
_FRAGMENT, _AUTHENTICATION = 44, 51
_EXTENSIONS = frozenset({0, 43, 60, 135, 139, 140, _FRAGMENT, _AUTHENTICATION})
"""IPv6 headers that another header follows (RFC 7045); behind ESP (50) nothing is readable."""


class Datagram(NamedTuple):
    """Ports and ICMP type are 0 where there are none: other protocols, later fragments, copies cut too short."""

    family: int
    protocol: int
    src: bytes
    dst: bytes
    length: int
    src_port: int = 0
    dst_port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0
    tcp_flags: int = 0
    icmp_id: int = 0


def read_datagram(packet: bytes) -> Datagram | None:
    """The packet that starts with an IPv4 or IPv6 header; None where that header is incomplete or neither."""
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        return _read_ipv4(packet)
    return _read_ipv6(packet) if version == 6 else None


def _read_ipv4(packet: bytes) -> Datagram | None:
    start = (packet[0] & 0xF) * 4
    if len(packet) < 20 or start < 20:
        return None
    length = int.from_bytes(packet[2:4], "big")
    found = Datagram(int(socket.AF_INET), packet[9], packet[12:16], packet[16:20], length)
    later_fragment = int.from_bytes(packet[6:8], "big") & 0x1FFF
    return found if later_fragment else _read_transport(found, packet, start)


def _read_ipv6(packet: bytes) -> Datagram | None:
    if len(packet) < 40:
        return None
    protocol, start = packet[6], 40
    later_fragment = False
    while protocol in _EXTENSIONS and start + 8 <= len(packet):
        following, size = packet[start], packet[start + 1]
        if protocol == _FRAGMENT:
            later_fragment = int.from_bytes(packet[start + 2 : start + 4], "big") >> 3 != 0
            start += 8
        else:
            start += (size + 2) * 4 if protocol == _AUTHENTICATION else (size + 1) * 8
        protocol = following
        if later_fragment:
            break
    length = 40 + int.from_bytes(packet[4:6], "big")
    found = Datagram(int(socket.AF_INET6), protocol, packet[8:24], packet[24:40], length)
    return found if later_fragment else _read_transport(found, packet, start)


def _read_transport(found: Datagram, packet: bytes, start: int) -> Datagram:
    if found.protocol in PORT_PROTOCOLS and len(packet) >= start + 4:
        source, destination = int.from_bytes(packet[start : start + 2], "big"), packet[start + 2 : start + 4]
        flags = packet[start + 13] if found.protocol == TCP and len(packet) >= start + 14 else 0
        return found._replace(src_port=source, dst_port=int.from_bytes(destination, "big"), tcp_flags=flags)
    if found.protocol in (ICMP, ICMPV6) and len(packet) >= start + 2:
        numbered = packet[start] in NUMBERED[found.protocol] and len(packet) >= start + 6
        number = int.from_bytes(packet[start + 4 : start + 6], "big") if numbered else 0
        return found._replace(icmp_type=packet[start], icmp_code=packet[start + 1], icmp_id=number)
    return found

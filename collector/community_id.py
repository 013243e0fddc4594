"""Community ID v1: the same id for a connection in Zeek, Suricata, Wireshark and here.

Specification: github.com/corelight/community-id-spec, version 1, seed 0.
"""

from __future__ import annotations

import base64
import hashlib
import struct

_PORT_PROTOCOLS = frozenset({6, 17, 132})
_ICMP_PAIRS = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 10: 9, 9: 10}
_ICMPV6_PAIRS = {
    128: 129,
    129: 128,
    133: 134,
    134: 133,
    135: 136,
    136: 135,
    130: 131,
    131: 130,
    144: 145,
    145: 144,
    139: 140,
    140: 139,
}
_PAIRS = {1: _ICMP_PAIRS, 58: _ICMPV6_PAIRS}


def community_id(
    source: bytes,
    destination: bytes,
    protocol: int,
    source_port: int = 0,
    destination_port: int = 0,
    *,
    icmp_type: int = 0,
    icmp_code: int = 0,
    seed: int = 0,
) -> str:
    """The id. Addresses are 4 or 16 bytes in network order; ICMP counts by type and code, others without ports."""
    ports: tuple[int, int] | None = None
    one_way = False
    if protocol in _PORT_PROTOCOLS:
        ports = source_port, destination_port
    elif protocol in _PAIRS:
        answer = _PAIRS[protocol].get(icmp_type)
        one_way = answer is None
        ports = icmp_type, icmp_code if answer is None else answer
    if not one_way and (destination, ports[1] if ports else 0) < (source, ports[0] if ports else 0):
        source, destination = destination, source
        ports = (ports[1], ports[0]) if ports else None
    data = struct.pack(">H", seed) + source + destination + bytes((protocol, 0))
    if ports is not None:
        data += struct.pack(">HH", *ports)
    return "1:" + base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii")

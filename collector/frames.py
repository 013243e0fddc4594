"""Frames: one captured frame, from its link layer to its ports. Pure and bounded; never raises for what it is given."""

from __future__ import annotations

import struct
from collections import OrderedDict
from enum import IntEnum
from socket import AF_INET, AF_INET6

import numpy as np

PACKET = np.dtype(
    [
        ("time_ns", "i8"),
        ("family", "u1"),
        ("protocol", "u1"),
        ("tcp_flags", "u1"),
        ("icmp_type", "u1"),
        ("icmp_code", "u1"),
        ("has_ports", "u1"),
        ("vlan", "u2"),  # outer id, 0xFFFF: none
        ("src", "u1", 16),
        ("dst", "u1", 16),
        ("src_port", "u2"),
        ("dst_port", "u2"),
        ("icmp_id", "u2"),
        ("sequence", "u4"),
        ("length", "u4"),  # of the IP packet
        ("frame", "u4"),  # on the wire, link layer included
    ]
)
"""One packet of a capture, ports in host order; `length` and `frame` are bytes."""
NO_VLAN = 0xFFFF

_ROW = struct.Struct("=qBBBBBBH16s16sHHHIII")
_ETHER_IP = frozenset({0x0800, 0x86DD})
_VLAN_TYPES = frozenset({0x8100, 0x88A8, 0x9100})
_EXTENSIONS = frozenset({0, 43, 44, 51, 60, 135, 139, 140})
"""IPv6 headers that another header follows (RFC 7045)."""
_PORTS = frozenset({6, 17, 33, 132, 136})
_ECHO = {1: frozenset({0, 8, 13, 14, 15, 16, 17, 18}), 58: frozenset({128, 129})}
MOST_EXTENSIONS = 16
MOST_FRAGMENTED = 4096
"""Fragmented datagrams remembered, so that later fragments get the ports of the first."""
NULL, ETHERNET, LOOP, COOKED, COOKED2 = 0, 1, 108, 113, 276
RAW = frozenset({12, 14, 101, 228, 229})
LINK_TYPES = RAW | {NULL, ETHERNET, LOOP, COOKED, COOKED2}
"""What is read (LINKTYPE_* of tcpdump.org): Ethernet, raw IP, BSD loopback, Linux cooked 1 and 2."""


class Outcome(IntEnum):
    """What became of a frame that gave no packet."""

    NOT_IP = 1
    UNREADABLE = 2


class FrameReader:
    """Reads frames of one capture; remembers fragments between them."""

    def __init__(self) -> None:
        self._fragments: OrderedDict[tuple[bytes, bytes, int, int], tuple[int, int, int, int, int, int]] = OrderedDict()

    def read(self, link_type: int, frame: bytes, time_ns: int, wire_length: int) -> bytes | Outcome:
        """One `PACKET` record, packed, or why there is none."""
        found = strip_link(link_type, frame)
        if isinstance(found, Outcome):
            return found
        start, vlan = found
        version = frame[start] >> 4 if start < len(frame) else 0
        left = max(0, wire_length - start)
        if version == 4:
            return self._ipv4(frame[start:], time_ns, vlan, wire_length, left)
        if version == 6:
            return self._ipv6(frame[start:], time_ns, vlan, wire_length, left)
        return Outcome.UNREADABLE

    def _ipv4(self, packet: bytes, time_ns: int, vlan: int, frame: int, left: int) -> bytes | Outcome:
        header = (packet[0] & 15) * 4
        if len(packet) < 20 or header < 20:
            return Outcome.UNREADABLE
        # Captured before segmentation the length may be 0: then it is what the frame holds.
        length = int.from_bytes(packet[2:4], "big") or left
        fragment = int.from_bytes(packet[6:8], "big")
        key = (packet[12:16], packet[16:20], int.from_bytes(packet[4:6], "big"), packet[9])
        upper = self._transport(
            packet[9], packet, header, key=key, offset=fragment & 0x1FFF, more=bool(fragment & 0x2000)
        )
        head = time_ns, int(AF_INET), packet[9]
        return _pack(head, upper, vlan, packet[12:16] + bytes(12) + packet[16:20], (length, frame))

    def _ipv6(self, packet: bytes, time_ns: int, vlan: int, frame: int, left: int) -> bytes | Outcome:
        if len(packet) < 40:
            return Outcome.UNREADABLE
        payload = int.from_bytes(packet[4:6], "big")
        length = 40 + payload if payload else left
        source, destination = packet[8:24], packet[24:40]
        protocol, start, offset, more, number = packet[6], 40, 0, False, 0
        for _ in range(MOST_EXTENSIONS):
            if protocol not in _EXTENSIONS or offset:
                break
            if len(packet) < start + 8:
                return Outcome.UNREADABLE
            following, size = packet[start], packet[start + 1]
            if protocol == 44:
                word = int.from_bytes(packet[start + 2 : start + 4], "big")
                offset, more = word >> 3, bool(word & 1)
                number = int.from_bytes(packet[start + 4 : start + 8], "big")
                start += 8
            else:
                start += (size + 2) * 4 if protocol == 51 else (size + 1) * 8
            protocol = following
        key = (source, destination, number, protocol)
        upper = self._transport(protocol, packet, start, key=key, offset=offset, more=more)
        return _pack((time_ns, int(AF_INET6), protocol), upper, vlan, source + destination, (length, frame))

    def _transport(
        self,
        protocol: int,
        packet: bytes,
        start: int,
        *,
        key: tuple[bytes, bytes, int, int],
        offset: int,
        more: bool,
    ) -> tuple[int, int, int, int, int, int, int, int]:
        """has_ports, source and destination port, ICMP type, code and id, TCP flags and sequence number."""
        if offset:
            known = self._fragments.get(key)
            return (*known, 0, 0) if known else (0, 0, 0, 0, 0, 0, 0, 0)
        found = _upper(protocol, packet, start)
        if more:
            self._fragments[key] = found[:6]
            if len(self._fragments) > MOST_FRAGMENTED:
                self._fragments.popitem(last=False)
        return found


def strip_link(link_type: int, frame: bytes) -> tuple[int, int] | Outcome:
    """Where the IP header starts and the outer VLAN id (`NO_VLAN`: none), or that there is no IP in it."""
    if link_type in RAW:
        return 0, NO_VLAN
    if link_type in (NULL, LOOP):
        # The family's number differs between systems; the IP version says it as well.
        return (4, NO_VLAN) if len(frame) > 4 and frame[4] >> 4 in (4, 6) else Outcome.NOT_IP
    place = {ETHERNET: 12, COOKED: 14, COOKED2: 0}.get(link_type)
    if place is None:
        return Outcome.UNREADABLE
    start = {ETHERNET: 14, COOKED: 16, COOKED2: 20}[link_type]
    vlan = NO_VLAN
    kind = int.from_bytes(frame[place : place + 2], "big")
    while kind in _VLAN_TYPES and len(frame) >= start + 4:
        if vlan == NO_VLAN:
            vlan = int.from_bytes(frame[start : start + 2], "big") & 0xFFF
        kind = int.from_bytes(frame[start + 2 : start + 4], "big")
        start += 4
    if len(frame) < start:
        return Outcome.UNREADABLE
    return (start, vlan) if kind in _ETHER_IP else Outcome.NOT_IP


def _upper(protocol: int, packet: bytes, start: int) -> tuple[int, int, int, int, int, int, int, int]:
    size = len(packet) - start
    if protocol in _PORTS and size >= 4:
        source, destination = struct.unpack_from(">HH", packet, start)
        flags, sequence = 0, 0
        if protocol == 6 and size >= 14:
            flags, sequence = packet[start + 13], int.from_bytes(packet[start + 4 : start + 8], "big")
        return 1, source, destination, 0, 0, 0, flags, sequence
    if protocol in _ECHO and size >= 2:
        kind = packet[start]
        number = int.from_bytes(packet[start + 4 : start + 6], "big") if kind in _ECHO[protocol] and size >= 6 else 0
        return 0, 0, 0, kind, packet[start + 1], number, 0, 0
    return 0, 0, 0, 0, 0, 0, 0, 0


def _pack(
    head: tuple[int, int, int],
    upper: tuple[int, int, int, int, int, int, int, int],
    vlan: int,
    ends: bytes,
    sizes: tuple[int, int],
) -> bytes:
    """`head`: time, family, protocol; `ends`: the source in 16 bytes and the destination; `sizes`: packet and frame."""
    has_ports, src_port, dst_port, icmp_type, icmp_code, icmp_id, flags, sequence = upper
    kinds = flags, icmp_type, icmp_code, has_ports, vlan, ends[:16], ends[16:]
    length, frame = sizes
    return _ROW.pack(*head, *kinds, src_port, dst_port, icmp_id, sequence, length & 0xFFFFFFFF, frame & 0xFFFFFFFF)

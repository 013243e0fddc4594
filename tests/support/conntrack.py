"""Conntrack messages as the kernel writes them, made from values."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from collector.layout import DELETE_TYPE, NEW_TYPE
from collector.netlink import NFGENMSG, attribute, message, nested

ICMP_KINDS = {1: (4, 5, 6), 58: (7, 8, 9)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A message's values; None leaves the attribute out. Addresses are text."""

    destroy: bool = False
    protocol: int = 17
    src: str = "10.0.0.1"
    dst: str = "10.0.0.2"
    src_port: int = 40000
    dst_port: int = 53
    reply_src: str = ""
    reply_dst: str = ""
    icmp: tuple[int, int, int] = (7, 8, 0)
    id: int = 1
    status: int | None = 8
    mark: int | None = None
    zone: int | None = None
    tcp_state: int | None = None
    timeout: int | None = 30
    counters: tuple[int, int, int, int] | None = None
    start_ns: int | None = None
    stop_ns: int | None = None
    event_ns: int | None = None
    others: tuple[tuple[int, bytes], ...] = ()
    flags: int = 0x600
    sequence: int = 0
    port: int = 0

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.src else socket.AF_INET

    def swapped(self) -> Connection:
        """The reply direction."""
        return replace(
            self,
            src=self.reply_src or self.dst,
            dst=self.reply_dst or self.src,
            src_port=self.dst_port,
            dst_port=self.src_port,
        )

    def direction(self, kind: int) -> bytes:
        base = 3 if self.family == socket.AF_INET6 else 1
        addresses = nested(
            1, *(attribute(base + n, packed) for n, packed in enumerate([self._ip(self.src), self._ip(self.dst)]))
        )
        transport = [attribute(1, bytes([self.protocol]))]
        if self.protocol in ICMP_KINDS:
            number, type_, code = ICMP_KINDS[self.protocol]
            transport += [attribute(number, struct.pack(">H", self.icmp[0]))]
            transport += [attribute(type_, bytes([self.icmp[1]])), attribute(code, bytes([self.icmp[2]]))]
        else:
            transport += [
                attribute(2, struct.pack(">H", self.src_port)),
                attribute(3, struct.pack(">H", self.dst_port)),
            ]
        return nested(kind, addresses, nested(2, *transport))

    def message(self) -> bytes:
        body = NFGENMSG.pack(self.family, 0, 0) + self.direction(1) + self.swapped().direction(2)
        body += attribute(12, struct.pack(">I", self.id))
        for kind, value in ((3, self.status), (7, self.timeout), (8, self.mark)):
            body += b"" if value is None else attribute(kind, struct.pack(">I", value))
        if self.zone is not None:
            body += attribute(18, struct.pack(">H", self.zone))
        for kind, payload in self.others:
            body += attribute(kind, payload)
        if self.tcp_state is not None:
            body += nested(4, nested(1, attribute(1, bytes([self.tcp_state])), attribute(2, b"\x07")))
        if self.counters is not None:
            packets, octets, reply_packets, reply_octets = self.counters
            body += nested(9, attribute(1, struct.pack(">Q", packets)), attribute(2, struct.pack(">Q", octets)))
            body += nested(
                10, attribute(1, struct.pack(">Q", reply_packets)), attribute(2, struct.pack(">Q", reply_octets))
            )
        stamps = [(1, self.start_ns), (2, self.stop_ns)]
        if any(value is not None for _, value in stamps):
            body += nested(
                20, *(attribute(kind, struct.pack(">Q", value)) for kind, value in stamps if value is not None)
            )
        if self.event_ns is not None:
            body += attribute(27, struct.pack(">Q", self.event_ns))
        raw = bytearray(message(DELETE_TYPE if self.destroy else NEW_TYPE, self.flags, self.sequence, body))
        raw[12:16] = struct.pack("=I", self.port)
        return bytes(raw)

    def _ip(self, text: str) -> bytes:
        return socket.inet_pton(self.family, text)


@dataclass(frozen=True, slots=True)
class Packed:
    """Messages in one buffer as a decoder takes them."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    messages: list[bytes] = field(default_factory=list)


def pack(messages: list[bytes], *, slot: int | None = None) -> Packed:
    """Messages one behind the other at multiples of 4, or one per slot of that size; noise stands between."""
    parts, offsets, position = [], [], 0
    for raw in messages:
        size = slot or len(raw) + (-len(raw) % 4)
        parts.append(raw.ljust(size, b"\xa5"))
        offsets.append(position)
        position += size
    data = np.frombuffer(bytearray(b"".join(parts) + b"\xa5" * 8), np.uint8)
    return Packed(data, np.array(offsets, np.int64), np.array([len(raw) for raw in messages], np.int64), messages)

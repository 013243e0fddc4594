"""Denied: the kernel's messages about logged packets into `DENIED` records, many at once, with the exact count of gaps.

As for connections, the layout of a message is learned: a signature of its headers and of what decides where the
packet's ports stand. Packets with options, extension headers or fragments are read one by one.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.columns import DENIED
from collector.datagram import ICMP, ICMPV6, NUMBERED, PORT_PROTOCOLS, TCP, read_datagram
from collector.netlink import NLA_TYPE_MASK, messages
from collector.rows import PADDING, Output, Signature, lengths_in, rows_of
from ringfence.model.ruleset import parse_log_prefix
from ringfence.model.verdict import Direction

PACKET_TYPE = 4 << 8  # NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET
MARK, PAYLOAD, PREFIX, SEQUENCE = 2, 9, 10, 12  # NFULA_*
BODY = 20  # struct nlmsghdr and struct nfgenmsg
MAX_LENGTH = 4096
MAX_TEMPLATES = 32
MAX_PREFIXES = 4096

Denied = NDArray[Any]
"""Structured array of `DENIED`, shape (n,)."""
Places = dict[int, tuple[int, int]]
"""Attribute type -> (offset of the payload, its length)."""

_ATTRIBUTE = struct.Struct("=HH")


def places_of(message: bytes) -> tuple[Places, list[int]]:
    """Where the attributes of a message stand, and the offsets of their headers.

    Reading stops at the first bad length; then there are no offsets, because the layout is not known to the end.
    """
    places: Places = {}
    headers: list[int] = []
    position, end = BODY, len(message)
    while position + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(message, position)
        if size < 4 or position + size > end:
            return places, []
        headers.append(position)
        places[kind & NLA_TYPE_MASK] = position + 4, size - 4
        position += size + 3 & ~3
    return places, headers


class _Template:
    """Reads messages of one layout: the plain IPv4 header, or IPv6 without extension headers."""

    __slots__ = ("_family", "_protocol", "_start", "places", "signature")

    def __init__(self, message: bytes, places: Places, headers: list[int]) -> None:
        start, _ = places[PAYLOAD]
        signature = Signature(len(message))
        signature.mask[0:6] = 0xFF
        for offset in headers:
            signature.mask[offset : offset + 4] = 0xFF
        if message[start] >> 4 == 4:
            signature.mask[start] = 0xFF  # version and header length
            signature.mask[start + 6 : start + 8] = (0x1F, 0xFF)  # fragment offset
            signature.mask[start + 9] = 0xFF
            self._family, self._protocol, self._start = 2, message[start + 9], 20
        else:
            signature.mask[start] = 0xF0
            signature.mask[start + 6] = 0xFF
            self._family, self._protocol, self._start = 10, message[start + 6], 40
        signature.learn(message)
        self.signature, self.places = signature, places

    @staticmethod
    def fits(message: bytes, places: Places) -> bool:
        """Whether the packet in the message has a header of fixed form."""
        start, size = places.get(PAYLOAD, (0, 0))
        if size >= 20 and message[start] == 0x45:
            return int.from_bytes(message[start + 6 : start + 8], "big") & 0x1FFF == 0
        plain = PORT_PROTOCOLS | {ICMP, ICMPV6}
        return size >= 40 and message[start] >> 4 == 6 and message[start + 6] in plain

    def fill(self, data: NDArray[np.uint8], records: Denied) -> None:
        """Write what the packets say; `data` has shape (n, bytes), `records` (n,)."""
        start, size = self.places[PAYLOAD]

        def number(offset: int, width: int) -> Any:
            return data[:, offset : offset + width].view(f">u{width}")[:, 0]

        records["family"], records["protocol"] = self._family, self._protocol
        if self._family == 2:
            records["src"][:, :4], records["dst"][:, :4] = (
                data[:, start + 12 : start + 16],
                data[:, start + 16 : start + 20],
            )
            records["bytes"] = number(start + 2, 2)
        else:
            records["src"], records["dst"] = data[:, start + 8 : start + 24], data[:, start + 24 : start + 40]
            records["bytes"] = number(start + 4, 2).astype(np.uint32) + 40
        transport, left = start + self._start, size - self._start
        if self._protocol in PORT_PROTOCOLS and left >= 4:
            records["src_port"], records["dst_port"] = number(transport, 2), number(transport + 2, 2)
            if self._protocol == TCP and left >= 14:
                records["tcp_flags"] = data[:, transport + 13]
        elif self._protocol in (ICMP, ICMPV6) and left >= 2:
            records["icmp_type"], records["icmp_code"] = data[:, transport], data[:, transport + 1]
            if left >= 6:
                numbered = np.isin(data[:, transport], list(NUMBERED[self._protocol]))
                records["icmp_id"] = np.where(numbered, number(transport + 4, 2), 0)
        offset, width = self.places.get(MARK, (0, 0))
        if width == 4:
            records["mark"] = number(offset, 4)


class DeniedDecoder:
    """The log of one namespace. One thread at a time."""

    def __init__(self, netns: int, *, expected: int = 0, max_templates: int = MAX_TEMPLATES) -> None:
        """`netns` is written into the records, `expected` is the number of the next packet."""
        self._netns, self._expected, self._max_templates = netns, expected, max_templates
        self._templates: dict[int, list[_Template]] = {}
        self._rules: dict[bytes, tuple[int, bool, int] | None] = {}
        self.gaps = 0
        """Packets lost, by the gaps in their numbers."""
        self.foreign = 0
        """Packets with a prefix that is not ours."""
        self.unreadable = 0
        """Packets with our prefix that are neither IPv4 nor IPv6."""

    def decode(self, datagrams: list[bytes], received_ns: int) -> Denied:
        """The records of the packets in these datagrams, in their order; what is not ours or unreadable is counted."""
        places: list[tuple[int, int]] = []
        base = 0
        for datagram in datagrams:
            places += [
                (base + start - 16, end - start + 16)
                for kind, _, _, start, end in messages(datagram)
                if kind == PACKET_TYPE and end - start >= 4
            ]
            base += len(datagram) + 3 & ~3
        if not places:
            return np.zeros(0, DENIED)
        joined = bytearray().join(part + bytes(-len(part) % 4) for part in datagrams) + bytes(PADDING)
        return self._decode(np.frombuffer(joined, np.uint8), np.array(places, np.int64), received_ns)

    def _decode(self, data: NDArray[np.uint8], places: NDArray[np.int64], received_ns: int) -> Denied:
        offsets, lengths = places[:, 0], places[:, 1]
        output = Output(len(lengths), DENIED)
        numbers = np.full(len(lengths), -1, np.int64)
        for length in lengths_in(lengths, BODY, MAX_LENGTH):
            index = np.flatnonzero(lengths == length)
            self._decode_rows(rows_of(data, offsets[index], length), length, index, output, numbers)
        self._count(numbers[numbers >= 0])
        records, _ = output.sorted()
        records["netns"], records["received_ns"] = self._netns, received_ns
        return records

    def _decode_rows(
        self,
        rows: NDArray[np.uint64],
        length: int,
        index: NDArray[np.int64],
        output: Output,
        numbers: NDArray[np.int64],
        /,
    ) -> None:
        templates = self._templates.setdefault(length, [])
        position = 0
        while len(index):
            if position == len(templates):
                message = rows[0].tobytes()[:length]
                places, headers = places_of(message)
                if position >= self._max_templates or not headers or not _Template.fits(message, places):
                    self._read_one(message, places, index[:1], output, numbers)
                    rows, index = rows[1:], index[1:]
                    continue
                templates.append(_Template(message, places, headers))
            template = templates[position]
            position += 1
            hits = template.signature.matches(rows)
            if hits.any():
                self._read_many(template, rows[hits], index[hits], output, numbers)
                rows, index = rows[~hits], index[~hits]

    def _read_many(
        self,
        template: _Template,
        rows: NDArray[np.uint64],
        index: NDArray[np.int64],
        output: Output,
        numbers: NDArray[np.int64],
        /,
    ) -> None:
        data = rows.view(np.uint8)
        offset, width = template.places.get(SEQUENCE, (0, 0))
        if width == 4:
            numbers[index] = data[:, offset : offset + 4].view(">u4")[:, 0]
        offset, width = template.places.get(PREFIX, (0, 0))
        while len(index):
            same = (data[:, offset : offset + width] == data[0, offset : offset + width]).all(axis=1)
            rule = self._rule(data[0, offset : offset + width].tobytes())
            if rule is None:
                self.foreign += int(np.count_nonzero(same))
            else:
                records = output.take(index[same])
                template.fill(data if same.all() else data[same], records)
                records["rule"], records["ingress"], records["slot"] = rule
            data, index = data[~same], index[~same]

    def _read_one(
        self, message: bytes, places: Places, index: NDArray[np.int64], output: Output, numbers: NDArray[np.int64], /
    ) -> None:
        def payload(kind: int) -> bytes:
            offset, width = places.get(kind, (0, 0))
            return message[offset : offset + width]

        if len(payload(SEQUENCE)) == 4:
            numbers[index] = int.from_bytes(payload(SEQUENCE), "big")
        rule = self._rule(payload(PREFIX))
        if rule is None:
            self.foreign += 1
            return
        packet = read_datagram(payload(PAYLOAD))
        if packet is None:
            self.unreadable += 1
            return
        record = output.take(index)
        record["rule"], record["ingress"], record["slot"] = rule
        record["family"], record["protocol"], record["bytes"] = packet.family, packet.protocol, packet.length
        for column, address in (("src", packet.src), ("dst", packet.dst)):
            record[column][0, : len(address)] = np.frombuffer(address, np.uint8)
        record["src_port"], record["dst_port"], record["tcp_flags"] = packet.src_port, packet.dst_port, packet.tcp_flags
        for name in ("icmp_type", "icmp_code", "icmp_id"):
            record[name] = getattr(packet, name)
        if len(payload(MARK)) == 4:
            record["mark"] = int.from_bytes(payload(MARK), "big")

    def _count(self, numbers: NDArray[np.int64]) -> None:
        """Note the numbers of packets, in their order; they are 32 bits wide and wrap around."""
        if not len(numbers):
            return
        expected = np.concatenate([[self._expected], numbers[:-1] + 1])
        self.gaps += int(((numbers - expected) & 0xFFFFFFFF).sum())
        self._expected = int(numbers[-1] + 1) & 0xFFFFFFFF

    def _rule(self, prefix: bytes) -> tuple[int, bool, int] | None:
        """Rule number, whether it judges ingress, and slot; None for a prefix that is not ours."""
        if prefix not in self._rules:
            if len(self._rules) >= MAX_PREFIXES:
                self._rules.clear()
            parsed = parse_log_prefix(prefix.rstrip(b"\0").decode("ascii", "replace"))
            fits = parsed is not None and parsed.number < 1 << 32 and parsed.slot < 1 << 8
            self._rules[prefix] = (
                (parsed.number, parsed.direction is Direction.INGRESS, parsed.slot) if parsed and fits else None
            )
        return self._rules[prefix]

"""The layout of one conntrack message: where each attribute stands. The generic walker that reads any message.

Attribute numbers are those of the kernel's `nfnetlink_conntrack.h` (CTA_*); 27 is CTA_TIMESTAMP_EVENT, kernel 6.14.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from collector.columns import MessageKind
from collector.netlink import NLA_TYPE_MASK

SUBSYSTEM = 1  # NFNL_SUBSYS_CTNETLINK
NEW_TYPE = SUBSYSTEM << 8
GET_TYPE = SUBSYSTEM << 8 | 1
DELETE_TYPE = SUBSYSTEM << 8 | 2

BODY = 20  # struct nlmsghdr and struct nfgenmsg
EVENT_STAMP = "event_ns"
"""Pseudo column: when the event happened. Stands in for a start or stop that the message does not carry."""

_NESTS = frozenset({(1,), (1, 1), (1, 2), (2,), (2, 1), (2, 2), (4,), (4, 1), (9,), (10,), (20,)})


def _tuple_columns(nest: int, prefix: str) -> dict[tuple[int, ...], tuple[str, int]]:
    return {
        (nest, 1, 1): (f"{prefix}src", 4),
        (nest, 1, 2): (f"{prefix}dst", 4),
        (nest, 1, 3): (f"{prefix}src", 16),
        (nest, 1, 4): (f"{prefix}dst", 16),
        (nest, 2, 2): (f"{prefix}src_port", 2),
        (nest, 2, 3): (f"{prefix}dst_port", 2),
    }


COLUMNS: dict[tuple[int, ...], tuple[str, int]] = {
    **_tuple_columns(1, ""),
    **_tuple_columns(2, "reply_"),
    (1, 2, 1): ("protocol", 1),
    (1, 2, 4): ("icmp_id", 2),
    (1, 2, 5): ("icmp_type", 1),
    (1, 2, 6): ("icmp_code", 1),
    (1, 2, 7): ("icmp_id", 2),
    (1, 2, 8): ("icmp_type", 1),
    (1, 2, 9): ("icmp_code", 1),
    (1, 3): ("zone", 2),
    (3,): ("status", 4),
    (4, 1, 1): ("tcp_state", 1),
    (7,): ("timeout", 4),
    (8,): ("mark", 4),
    (9, 1): ("packets", 8),
    (9, 2): ("bytes", 8),
    (10, 1): ("reply_packets", 8),
    (10, 2): ("reply_bytes", 8),
    (12,): ("id", 4),
    (18,): ("zone", 2),
    (20, 1): ("start_ns", 8),
    (20, 2): ("stop_ns", 8),
    (27,): (EVENT_STAMP, 8),
}
"""Attribute path -> (column, width in bytes); numbers stand in network order."""

ADDRESS_COLUMNS = frozenset({"src", "dst", "reply_src", "reply_dst"})
_REQUIRED = frozenset({*ADDRESS_COLUMNS, "protocol"})
_HEADER = struct.Struct("=IHHIIB")
_ATTRIBUTE = struct.Struct("=HH")
_ADDRESS_WIDTH = {int(socket.AF_INET): 4, int(socket.AF_INET6): 16}


class Unreadable(ValueError):
    """The message is not a well-formed conntrack message."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`headers`: offset of every attribute header. `fields`: column -> (offset of the value, width)."""

    kind: MessageKind
    family: int
    length: int
    headers: tuple[int, ...]
    fields: dict[str, tuple[int, int]]

    @property
    def counted(self) -> bool:
        return "bytes" in self.fields and "reply_bytes" in self.fields


def walk(message: bytes, *, dump: bool = False) -> Layout:
    """The layout of one message, whatever attributes it has; unknown attributes are passed over.

    Raises:
        Unreadable: wrong type, truncated, a length that does not fit, or no tuple.
    """
    if len(message) < BODY:
        raise Unreadable("shorter than its headers")
    length, kind, _, _, _, family = _HEADER.unpack_from(message)
    if length != len(message):
        raise Unreadable("the length in the header is not the message's")
    if kind not in (NEW_TYPE, DELETE_TYPE) or (dump and kind != NEW_TYPE):
        raise Unreadable("not a conntrack message")
    if family not in _ADDRESS_WIDTH:
        raise Unreadable("not an IPv4 or IPv6 message")
    walker = _Walker(message)
    walker.walk(BODY, length, ())
    fields = walker.fields
    if not fields.keys() >= _REQUIRED:
        raise Unreadable("no complete tuple")
    if any(fields[column][1] != _ADDRESS_WIDTH[family] for column in ADDRESS_COLUMNS):
        raise Unreadable("addresses of another family")
    event = MessageKind.NEW if kind == NEW_TYPE else MessageKind.DESTROY
    return Layout(MessageKind.DUMP if dump else event, family, length, tuple(walker.headers), fields)


class _Walker:
    def __init__(self, message: bytes) -> None:
        self._message = message
        self.headers: list[int] = []
        self.fields: dict[str, tuple[int, int]] = {}

    def walk(self, start: int, end: int, path: tuple[int, ...]) -> None:
        """Note every attribute between two offsets; `path` leads to the nest they stand in."""
        position = start
        while position < end:
            if position + 4 > end:
                raise Unreadable("bytes left over behind the last attribute")
            size, flagged = _ATTRIBUTE.unpack_from(self._message, position)
            if size < 4 or position + size > end:
                raise Unreadable("an attribute longer than its place")
            self.headers.append(position)
            here = (*path, flagged & NLA_TYPE_MASK)
            if here in _NESTS:
                self.walk(position + 4, position + size, here)
            elif here in COLUMNS:
                column, width = COLUMNS[here]
                if size - 4 != width:
                    raise Unreadable(f"{column} has {size - 4} bytes instead of {width}")
                self.fields[column] = (position + 4, width)
            position += size + 3 & ~3

"""Templates: a learned layout applied to many messages at once.

A template holds the message header and every attribute header of its layout as a mask and the expected bits. A message
that agrees in all of them has exactly that layout, so its values stand where the template says: this is exact, not a
guess. Layouts change with sysctls, NAT, zones, marks, labels and helpers, hence they are learned while running.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.columns import CONNTRACK, NO_TCP_STATE, MessageKind
from collector.layout import ADDRESS_COLUMNS, EVENT_STAMP, Layout
from collector.rows import Signature

Records = NDArray[Any]
"""Structured array of `CONNTRACK`, shape (n,)."""


class Template:
    """Reads messages of one layout. Rows are 64-bit words of the message, padded with whatever follows it."""

    __slots__ = ("_signature", "layout")

    def __init__(self, layout: Layout, message: bytes) -> None:
        signature = Signature(layout.length)
        signature.mask[0:6] = 0xFF  # length and type; flags, sequence and port id do not change the layout
        signature.mask[16:18] = 0xFF  # family and version
        for offset in layout.headers:
            signature.mask[offset : offset + 4] = 0xFF
        signature.learn(message)
        self.layout, self._signature = layout, signature

    def matches(self, rows: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which rows (shape n x words) have this layout; shape (n,)."""
        return self._signature.matches(rows)

    def fill(self, rows: NDArray[np.uint64], records: Records) -> None:
        """Write the values of `rows` (n x words) into zeroed `records` (n,)."""
        layout = self.layout
        data = rows.view(np.uint8)
        fill_constants(layout, records)
        for column, (offset, width) in layout.fields.items():
            value = data[:, offset : offset + width]
            if column in ADDRESS_COLUMNS:
                # Four bytes as one number: numpy copies numbers faster than short rows.
                whole = f"V{width}"
                records[column][:, :width].view(whole)[:, 0] = value.view(whole)[:, 0]
            elif column != EVENT_STAMP:
                records[column] = value[:, 0] if width == 1 else value.view(f">u{width}")[:, 0]
        stand_in = stamp_column(layout)
        if stand_in:
            offset, width = layout.fields[EVENT_STAMP]
            records[stand_in] = data[:, offset : offset + width].view(">u8")[:, 0]


def fill_constants(layout: Layout, records: Records) -> None:
    """Write what the layout alone decides."""
    records["kind"] = layout.kind
    records["family"] = layout.family
    records["counted"] = layout.counted
    if "tcp_state" not in layout.fields:
        records["tcp_state"] = NO_TCP_STATE


def stamp_column(layout: Layout) -> str:
    """The column that the event's own stamp fills, because the message carries no better one; may be empty.

    A NEW has no start stamp before kernel 6.14 and carries the event's afterwards; it precedes the start that
    the DESTROY of the same connection tells by some microseconds.
    """
    wanted = {MessageKind.NEW: "start_ns", MessageKind.DESTROY: "stop_ns"}.get(layout.kind, "")
    return wanted if EVENT_STAMP in layout.fields and wanted not in layout.fields else ""


def fill_one(layout: Layout, message: bytes, record: Records) -> None:
    """The same as `Template.fill` for a single message without a template; `record` has shape (1,), zeroed."""
    fill_constants(layout, record)

    def number(offset: int, width: int) -> int:
        return int.from_bytes(message[offset : offset + width], "big")

    for column, (offset, width) in layout.fields.items():
        if column in ADDRESS_COLUMNS:
            record[column][0, :width] = np.frombuffer(message, np.uint8, width, offset)
        elif column != EVENT_STAMP:
            record[column] = number(offset, width)
    stand_in = stamp_column(layout)
    if stand_in:
        record[stand_in] = number(*layout.fields[EVENT_STAMP])


EMPTY: Records = np.zeros(0, CONNTRACK)

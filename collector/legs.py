"""Legs: one connection as one namespace tracked it, or as one rule denied it; and the flows that legs make up.

Both are tables of numpy records that grow; rows are reused after a flow was released.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.columns import NO_TCP_STATE, MessageKind
from collector.index import HashIndex
from collector.wire import Words, hash_words, original, translated

Rows = NDArray[np.int64]


class Role(IntEnum):
    """Where a leg stands: in the namespace that holds the source's address, the destination's, or in between."""

    SRC = 0
    DST = 1
    HOST = 2


class LegKind(IntEnum):
    TRACKED = 0
    DENIED_INGRESS = 1
    DENIED_EGRESS = 2


class Gone(IntEnum):
    """Why a leg is no longer alive without a DESTROY."""

    NO = 0
    MISSING = 1
    NAMESPACE = 2


_COUNTERS = ("packets", "bytes", "reply_packets", "reply_bytes")

LEG = np.dtype(
    [
        ("key", "u8"),
        ("kind", "u1"),
        ("role", "u1"),
        ("known", "?"),  # the namespace belongs to a workload or a host
        ("netns", "u8"),
        ("host", "i4"),
        ("id", "u4"),
        ("icmp_id", "u2"),
        ("mark", "u4"),
        ("slot", "u1"),  # of a host-network workload
        ("rule", "u4"),  # of a denied leg
        ("wire_in", "u8", 5),
        ("wire_out", "u8", 5),
        ("hash_in", "u8"),
        ("hash_out", "u8"),
        ("flow", "i8"),
        ("used", "?"),
        ("alive", "?"),
        ("gone", "u1"),
        ("missed", "u1"),  # dumps of its namespace in a row that did not show it
        ("start", "i8"),
        ("first", "i8"),  # received
        ("last", "i8"),  # latest evidence
        ("pause", "i8"),  # between the last two packets of a denied leg
        ("stop", "i8"),
        ("closed", "i8"),  # when TCP closed, worked out from the remaining timeout; 0: open
        ("counted", "?"),
        *((name, "i8") for name in _COUNTERS),
        ("tcp_state", "u1"),
    ]
)

FLOW = np.dtype(
    [
        ("used", "?"),
        ("src", "i8"),  # leg rows; -1: none
        ("dst", "i8"),
        ("host", "i8"),  # first and last leg in between
        ("tail", "i8"),
        ("denied", "i8"),
        ("known", "?"),
        ("born", "i8"),  # tick
        ("emitted", "?"),
        ("dirty", "?"),
        ("dying", "i8"),  # when the end of its leg that counts was seen
        ("final", "?"),
        ("reason", "u1"),
        ("id", "S32"),
        ("community", "S30"),
        ("start", "i8"),
        ("ended", "i8"),
    ]
)

CLOSED_TIMEOUTS: dict[int, int] = {7: 120, 8: 10}
"""Full timeout in seconds of the TCP states in which a connection has ended: TIME_WAIT and CLOSE (RFC 9293,
nf_conntrack_tcp_timeout_time_wait and _close). The remaining time in a dump tells when the state was entered."""


def gather(rows: NDArray[Any], index: NDArray[Any]) -> NDArray[Any]:
    """`rows[index]`, copied as plain bytes: field by field numpy takes six times as long."""
    found: NDArray[Any] = opaque(rows)[index].view(rows.dtype)
    return found


def opaque(rows: NDArray[Any]) -> NDArray[Any]:
    """The same contiguous records without fields."""
    return rows.view(np.dtype((np.void, rows.dtype.itemsize)))


class Table:
    """Records of one dtype in rows that are handed out and taken back. Fields `used` must exist."""

    def __init__(self, dtype: np.dtype[Any], capacity: int = 1024) -> None:
        self.rows: NDArray[Any] = np.zeros(capacity, dtype)
        self._free: Rows = np.arange(capacity - 1, -1, -1)

    def __len__(self) -> int:
        return len(self.rows) - len(self._free)

    def allocate(self, count: int) -> Rows:
        """Rows for `count` records, zeroed and `used`."""
        if count > len(self._free):
            old = len(self.rows)
            size = max(2 * old, old + count)
            rows = np.zeros(size, self.rows.dtype)
            rows[:old] = self.rows
            self.rows = rows
            self._free = np.concatenate([np.arange(size - 1, old - 1, -1), self._free])
        keep = len(self._free) - count
        taken, self._free = self._free[keep:][::-1].copy(), self._free[:keep]
        opaque(self.rows)[taken] = opaque(np.zeros(1, self.rows.dtype))
        self.rows["used"][taken] = True
        return taken

    def release(self, rows: Rows) -> None:
        self.rows["used"][rows] = False
        self._free = np.concatenate([self._free, rows[::-1]])


class Legs(Table):
    """The legs, found by key (namespace, connection id, tuple) and by the wire tuples they touch."""

    def __init__(self) -> None:
        super().__init__(LEG)
        self.keys, self.wires = HashIndex(), HashIndex()

    def add(self, new: NDArray[Any]) -> Rows:
        """Store `LEG` records (n,), not yet part of a flow; returns their rows."""
        rows = self.allocate(len(new))
        opaque(self.rows)[rows] = opaque(np.ascontiguousarray(new))
        self.rows["used"][rows] = True
        self.rows["flow"][rows] = -1
        self.keys.add(new["key"], rows)
        moved = new["hash_in"] != new["hash_out"]
        self.wires.add(
            np.concatenate([new["hash_in"], new["hash_out"][moved]]),
            np.concatenate([rows, rows[moved]]),
        )
        return rows

    def find(self, wanted: NDArray[Any]) -> Rows:
        """The latest row with the key of each `LEG` record (n,) that is really the same leg; -1: none."""
        rows = self.keys.latest(wanted["key"])
        found = np.flatnonzero(rows >= 0)
        held, asked = gather(self.rows, rows[found]), gather(wanted, found)
        same = (held["wire_in"] == asked["wire_in"]).all(axis=1)
        for name in ("netns", "id", "kind", "icmp_id"):
            same &= held[name] == asked[name]
        rows[found[~same]] = -1
        return rows

    def release(self, rows: Rows) -> None:
        stays = self.rows["used"].copy()
        stays[rows] = False
        self.keys.keep(stays)
        self.wires.keep(stays)
        super().release(rows)


def tracked(records: NDArray[Any], netns: NDArray[np.uint64]) -> NDArray[Any]:
    """`LEG` records of `CONNTRACK` records, both shape (n,); role, host and known are left to attribution."""
    legs = _blank(records, netns, original(records), translated(records))
    for name in ("id", "icmp_id", "mark", "counted", "tcp_state", *_COUNTERS):
        legs[name] = records[name]
    received = records["received_ns"].astype(np.int64)
    legs["start"] = np.where(records["start_ns"] > 0, records["start_ns"].astype(np.int64), received)
    destroyed = records["kind"] == MessageKind.DESTROY
    stop = np.where(records["stop_ns"] > 0, records["stop_ns"].astype(np.int64), received)
    legs["stop"] = np.where(destroyed, stop, 0)
    legs["last"] = np.where(destroyed, stop, received)
    for state, full in CLOSED_TIMEOUTS.items():
        entered = received - (full - records["timeout"].astype(np.int64)) * 1_000_000_000
        seen = (records["tcp_state"] == state) & (records["kind"] == MessageKind.DUMP) & (records["timeout"] <= full)
        legs["closed"] = np.where(seen, np.maximum(entered, records["start_ns"].astype(np.int64)), legs["closed"])
    legs["alive"] = ~destroyed
    legs["key"] = hash_words(legs["wire_in"], legs["netns"], legs["id"])
    return legs


def denied(records: NDArray[Any]) -> NDArray[Any]:
    """`LEG` records of `DENIED` records, shape (n,), one packet each."""
    words = original(records)
    legs = _blank(records, records["netns"], words, words)
    legs["kind"] = np.where(records["ingress"], LegKind.DENIED_INGRESS, LegKind.DENIED_EGRESS)
    for name in ("rule", "slot", "bytes", "icmp_id"):
        legs[name] = records[name]
    legs["packets"], legs["counted"], legs["tcp_state"] = 1, True, NO_TCP_STATE
    legs["start"] = legs["last"] = records["received_ns"]
    legs["alive"] = True
    return with_wire(legs, words)


def with_wire(legs: NDArray[Any], words: Words) -> NDArray[Any]:
    """Denied legs (n,) with this tuple (n x 5) on both sides, and the key that follows from it."""
    legs["wire_in"] = legs["wire_out"] = words
    legs["hash_in"] = legs["hash_out"] = hash_words(words)
    legs["key"] = hash_words(words, legs["netns"], legs["kind"], legs["icmp_id"])
    return legs


def _blank(records: NDArray[Any], netns: NDArray[Any], wire_in: Words, wire_out: Words) -> NDArray[Any]:
    legs = np.zeros(len(records), LEG)
    legs["netns"], legs["wire_in"], legs["wire_out"], legs["flow"] = netns, wire_in, wire_out, -1
    legs["first"] = records["received_ns"]
    legs["hash_in"] = hash_words(wire_in)
    legs["hash_out"] = hash_words(wire_out)
    return legs

"""A template reads exactly the messages of its layout, and reads them as the walker does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from collector.columns import CONNTRACK, NO_TCP_STATE
from collector.layout import walk
from collector.rows import words_of
from collector.templates import Template, fill_one, stamp_column
from tests.support.conntrack import Connection

BASE = Connection(mark=1, counters=(1, 2, 3, 4), start_ns=10, destroy=True, event_ns=30)


def rows(*messages: bytes) -> np.ndarray:
    width = words_of(len(messages[0])) * 8
    return np.frombuffer(b"".join(raw.ljust(width, b"\xee") for raw in messages), np.uint64).reshape(len(messages), -1)


def template(connection: Connection) -> Template:
    return Template(walk(connection.message()), connection.message())


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (replace(BASE, src="192.0.2.1", dst_port=1, id=9, mark=7, counters=(9, 9, 9, 9), start_ns=0), True),
        (replace(BASE, flags=0, sequence=77, port=4242), True),
        (replace(BASE, destroy=False), False),
        (replace(BASE, mark=None, status=None, others=((3, bytes(4)), (9, bytes(4)))), False),
    ],
    ids=["other values", "other sequence", "other type", "other attributes of the same length"],
)
def test_only_the_same_layout_matches(other: Connection, same: bool) -> None:
    raw = other.message()
    assert len(raw) == len(BASE.message())
    assert template(BASE).matches(rows(raw, BASE.message())).tolist() == [same, True]


def test_filling_many_equals_filling_one() -> None:
    connections = [replace(BASE, src_port=port, id=port, mark=port, stop_ns=None) for port in range(1, 50)]
    many = np.zeros(len(connections), CONNTRACK)
    template(BASE).fill(rows(*(item.message() for item in connections)), many)
    for record, connection in zip(many, connections, strict=True):
        one = np.zeros(1, CONNTRACK)
        fill_one(walk(connection.message()), connection.message(), one)
        assert one[0] == record
    assert many["tcp_state"].tolist() == [NO_TCP_STATE] * len(connections)


@pytest.mark.parametrize(
    ("connection", "column"),
    [
        (Connection(event_ns=5), "start_ns"),
        (Connection(event_ns=5, start_ns=4), ""),
        (Connection(event_ns=5, destroy=True), "stop_ns"),
        (Connection(event_ns=5, destroy=True, start_ns=1, stop_ns=2), ""),
        (Connection(), ""),
    ],
    ids=["new", "new with start", "destroy", "destroy with stop", "no stamp"],
)
def test_the_event_stamp_stands_in_for_a_missing_one(connection: Connection, column: str) -> None:
    layout = walk(connection.message())
    assert stamp_column(layout) == column
    record = np.zeros(1, CONNTRACK)
    template(connection).fill(rows(connection.message()), record)
    if column:
        assert int(record[column][0]) == 5

"""The generic walker finds every value, or says that the message is unreadable."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from collector.columns import MessageKind
from collector.layout import EVENT_STAMP, Unreadable, walk
from tests.support.conntrack import Connection

FULL = Connection(
    protocol=6, destroy=True, mark=5, zone=9, tcp_state=3, counters=(1, 2, 3, 4), start_ns=5, stop_ns=6, event_ns=7
)


def test_every_value_is_found() -> None:
    raw = FULL.message()
    layout = walk(raw)
    values = {name: int.from_bytes(raw[start : start + width], "big") for name, (start, width) in layout.fields.items()}
    assert (layout.kind, layout.family, layout.counted) == (MessageKind.DESTROY, 2, True)
    assert {name: values[name] for name in ("mark", "zone", "tcp_state", "packets", "reply_bytes", "start_ns")} == {
        "mark": 5,
        "zone": 9,
        "tcp_state": 3,
        "packets": 1,
        "reply_bytes": 4,
        "start_ns": 5,
    }
    assert values[EVENT_STAMP] == 7
    assert (values["src"], values["dst"]) == (0x0A000001, 0x0A000002)


def test_a_new_message_of_a_dump_is_a_dump() -> None:
    raw = Connection().message()
    assert walk(raw).kind is MessageKind.NEW
    assert walk(raw, dump=True).kind is MessageKind.DUMP


def test_unknown_attributes_are_passed_over() -> None:
    plain, more = Connection(), Connection(others=((22, bytes(16)), (0x3FF0, b"x"), (11, b"\0\0\0\1")))
    assert set(walk(more.message()).fields) == set(walk(plain.message()).fields)
    assert len(walk(more.message()).headers) == len(walk(plain.message()).headers) + 3


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 15, 16, 19, 20, 24, 50])
def test_a_truncated_message_is_unreadable(size: int) -> None:
    raw = FULL.message()[:size]
    with pytest.raises(Unreadable):
        walk(raw)
    if size >= 4:
        with pytest.raises(Unreadable):
            walk(struct.pack("=I", size) + raw[4:])


def _set(raw: bytes, offset: int, value: bytes) -> bytes:
    return raw[:offset] + value + raw[offset + len(value) :]


RAW = Connection().message()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(_set(RAW, 4, struct.pack("=H", 0x105)), id="another type"),
        pytest.param(_set(RAW, 4, struct.pack("=H", 0x500)), id="another subsystem"),
        pytest.param(_set(RAW, 16, b"\x07"), id="bridge family"),
        pytest.param(_set(RAW, 16, b"\x0a"), id="family and addresses differ"),
        pytest.param(_set(RAW, 20, struct.pack("=H", 0)), id="attribute of no length"),
        pytest.param(_set(RAW, 20, struct.pack("=H", 3)), id="attribute shorter than its header"),
        pytest.param(_set(RAW, 20, struct.pack("=H", 0xFFFF)), id="attribute longer than the message"),
        pytest.param(_set(RAW, 24, struct.pack("=H", 60)), id="nest longer than its parent"),
        pytest.param(_set(RAW, 28, struct.pack("=H", 7)), id="address of three bytes"),
        pytest.param(_set(RAW, 30, struct.pack("=H", 99)), id="no source address"),
    ],
)
def test_a_malformed_message_is_unreadable(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        walk(raw)


def test_a_destroy_is_no_part_of_a_dump() -> None:
    with pytest.raises(Unreadable):
        walk(replace(FULL, destroy=True).message(), dump=True)

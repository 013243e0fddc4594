"""Packing and reading of netlink messages and attributes."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.netlink import (
    HEADER,
    attribute,
    attributes,
    error_of,
    first_sequence,
    message,
    messages,
    nested,
    receive,
    transact,
)

PAYLOADS = st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8)


@given(PAYLOADS)
def test_attributes_are_read_as_they_were_packed(items: list[tuple[int, bytes]]) -> None:
    packed = b"".join(attribute(kind, payload) for kind, payload in items)
    assert len(packed) % 4 == 0
    assert list(attributes(packed)) == items


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=8))
def test_messages_are_read_as_they_were_packed(items: list[tuple[int, bytes]]) -> None:
    packed = b"".join(
        raw + bytes(-len(raw) % 4)
        for number, (kind, body) in enumerate(items)
        for raw in [message(kind, number, number + 7, body)]
    )
    found = [(kind, flags, sequence, packed[start:end]) for kind, flags, sequence, start, end in messages(packed)]
    assert found == [(kind, number, number + 7, body) for number, (kind, body) in enumerate(items)]


@given(st.binary(max_size=200))
def test_hostile_bytes_end_the_reading_and_nothing_else(data: bytes) -> None:
    for _, _, _, start, end in messages(data):
        assert HEADER.size <= start <= end <= len(data)
    assert all(len(payload) <= len(data) for _, payload in attributes(data))


def test_a_nest_is_flagged_and_read_without_the_flag() -> None:
    packed = nested(5, attribute(1, b"a"), attribute(2, b"bc"))
    assert struct.unpack_from("=HH", packed) == (len(packed), 0x8005)
    ((kind, inner),) = attributes(packed)
    assert (kind, list(attributes(inner))) == (5, [(1, b"a"), (2, b"bc")])


class Scripted:
    """A socket that answers with prepared datagrams; one given with a port is from that process."""

    def __init__(self, *datagrams: bytes | tuple[bytes, int]) -> None:
        self.sent: list[bytes] = []
        self._datagrams = list(datagrams)

    def gettimeout(self) -> float:
        return 0.01

    def send(self, data: bytes) -> int:
        self.sent.append(data)
        return len(data)

    def recvfrom_into(self, buffer: bytearray) -> tuple[int, tuple[int, int]]:
        given = self._datagrams.pop(0) if len(self._datagrams) > 1 else self._datagrams[0]
        data, port = given if isinstance(given, tuple) else (given, 0)
        buffer[: len(data)] = data
        return len(data), (port, 0)


def acknowledgement(code: int, sequence: int) -> bytes:
    return message(2, 0, sequence, struct.pack("=i", -code) + bytes(16))


def scripted(*datagrams: bytes | tuple[bytes, int]) -> Any:
    link: Any = Scripted(*datagrams)
    return link


def test_a_transaction_returns_what_came_before_the_acknowledgement() -> None:
    link = scripted(message(9, 0, 3, b"old!"), message(9, 0, 4, b"new!") + acknowledgement(0, 4))
    assert transact(link, b"request", 4) == [(9, b"new!")]
    assert link.sent == [b"request"]


def test_a_refusal_carries_its_errno() -> None:
    with pytest.raises(FileExistsError):
        transact(scripted(acknowledgement(errno.EEXIST, 1)), b"", 1)
    assert error_of(acknowledgement(errno.ENOENT, 1), 16) == errno.ENOENT


def test_what_another_process_sends_is_not_the_kernels_answer() -> None:
    forged = message(9, 0, 4, b"evil") + acknowledgement(0, 4)
    link = scripted((forged, 4711), message(9, 0, 4, b"good") + acknowledgement(0, 4))
    assert transact(link, b"", 4) == [(9, b"good")]


def test_a_flood_of_forged_answers_does_not_hold_up_for_ever() -> None:
    with pytest.raises(TimeoutError):
        receive(scripted((b"evil", 4711)))


def test_requests_are_numbered_from_an_unguessable_start() -> None:
    assert len({first_sequence() for _ in range(20)}) > 15

"""Slots hold what one call brought, and say what was cut."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from collector.receive import Slots

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        yield left, right


def test_many_datagrams_come_with_one_call(pair: Pair) -> None:
    left, right = pair
    slots = Slots(8, 64)
    sent = [bytes([number]) * (number + 1) for number in range(8)]
    for datagram in sent:
        left.send(datagram)
    assert slots.receive(right.fileno()) == 8
    lengths = slots.lengths(8).tolist()
    found = [slots.data[start : start + size].tobytes() for start, size in zip(slots.offsets, lengths, strict=True)]
    assert found == sent
    assert slots.nsids(8).tolist() == [-1] * 8
    assert slots.all_good(8)
    assert not slots.truncated(8).any()


def test_an_empty_socket_gives_nothing(pair: Pair) -> None:
    assert Slots(4, 64).receive(pair[1].fileno()) == 0


def test_what_does_not_fit_is_marked(pair: Pair) -> None:
    slots = Slots(4, 16)
    for size in (16, 17, 3):
        pair[0].send(bytes(size))
    assert slots.receive(pair[1].fileno()) == 3
    assert not slots.all_good(3)
    assert slots.truncated(3).tolist() == [False, True, False]
    assert slots.lengths(3).tolist() == [16, 16, 3]


def test_slots_are_used_again(pair: Pair) -> None:
    slots = Slots(3, 16)
    for number in range(10):
        pair[0].send(bytes([number]))
    found = []
    while count := slots.receive(pair[1].fileno()):
        found += slots.data[slots.offsets[:count]].tolist()
    assert found == list(range(10))


def test_a_closed_socket_is_an_error() -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    number = right.fileno()
    left.close()
    right.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        Slots(1, 16).receive(number)

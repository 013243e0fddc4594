"""Packets become the conversations that Wireshark would show, wherever the blocks are cut."""

from __future__ import annotations

import numpy as np
import pytest

from collector.conversations import Conversations, tcp_state
from collector.frames import PACKET, FrameReader
from tests.support.captures import connection, packet


def records(packets: list[bytes]) -> np.ndarray:
    reader = FrameReader()
    rows = [reader.read(101, raw, number * 1_000_000, len(raw)) for number, raw in enumerate(packets)]
    return np.frombuffer(b"".join(row for row in rows if isinstance(row, bytes)), PACKET)


def gather(packets: list[bytes], size: int = 1000) -> Conversations:
    made, rows = Conversations(), records(packets)
    for start in range(0, len(rows), size):
        made.take(rows[start : start + size])
    return made


REUSED = [*connection(sequence=100), *connection(sequence=9000), *connection(sequence=77)]
MIXED = [part for pair in zip(connection(), connection("10.0.0.1:1001"), strict=True) for part in pair]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 1000])
@pytest.mark.parametrize(
    ("packets", "count"), [(connection(), 1), (REUSED, 3), (MIXED, 2)], ids=["one", "port used again", "interleaved"]
)
def test_the_cut_into_blocks_changes_nothing(packets: list[bytes], count: int, size: int) -> None:
    made = gather(packets, size)
    assert [item.packets for item in made.every] == [[4, 3]] * count
    assert [tcp_state(item) for item in made.every] == ["time_wait"] * count
    assert all(item.handshake_us is not None for item in made.every)


def test_a_repeated_syn_is_no_new_connection() -> None:
    first = connection()
    (found,) = gather([first[0], *first]).every
    assert (found.packets, found.handshake_us) == ([5, 3], 3000)


def test_the_client_is_who_sent_the_syn_even_when_the_answer_comes_first() -> None:
    (found,) = gather(connection()[1:]).every
    assert found.packets == [3, 3]
    assert found.wire[:4] == bytes([10, 0, 0, 1])


def test_an_echo_and_its_reply_are_one_and_another_id_is_another() -> None:
    def echo(kind: int, number: int, *ends: str) -> bytes:
        return packet(*ends, protocol=1, upper=bytes([kind, 0, 0, 0]) + number.to_bytes(2, "big") + b"\0\1")

    there, back = ("10.0.0.1:0", "10.0.0.2:0"), ("10.0.0.2:0", "10.0.0.1:0")
    made = gather([echo(8, 5, *there), echo(0, 5, *back), echo(8, 6, *there), echo(0, 7, *back)])
    assert [item.packets for item in made.every] == [[1, 1], [1, 0], [0, 1]]
    assert {item.wire[38] for item in made.every} == {8}


def test_icmp_errors_are_one_way() -> None:
    error = bytes([3, 3, 0, 0]) + bytes(28)
    made = gather(
        [
            packet(*ends, protocol=1, upper=error)
            for ends in (("10.0.0.1:0", "10.0.0.2:0"), ("10.0.0.2:0", "10.0.0.1:0"))
        ]
    )
    assert [item.packets for item in made.every] == [[1, 0], [1, 0]]


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        ([2], "syn_sent"),
        ([2, 18], "syn_recv"),
        ([2, 18, 16], "established"),
        ([2, 20], "close"),
        ([2, 18, 16, 17], "fin_wait"),
    ],
)
def test_the_state_in_which_the_capture_leaves_it(flags: list[int], state: str) -> None:
    ends = ("10.0.0.1:1000", "10.0.0.2:80")
    packets = [packet(*(ends[::-1] if flag in (18, 20) else ends), flags=flag) for flag in flags]
    assert tcp_state(gather(packets).every[0]) == state

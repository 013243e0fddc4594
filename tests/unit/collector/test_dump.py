"""A dump is every entry of the answer to our request, once; a table that changed under it is read again."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import Any

import pytest

from collector.columns import MessageKind
from collector.dump import ATTEMPTS, TableReader
from collector.netlink import HEADER, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, message
from tests.support.conntrack import Connection

Part = Callable[[int], bytes]
"""One datagram of an answer, made for the number of the request."""


class Table:
    """Answers the first request with the first of `answers` and so on; the last one again and again."""

    def __init__(self, *answers: list[Part]) -> None:
        self._answers, self._parts, self.requests = list(answers), list[bytes](), 0

    def settimeout(self, seconds: float) -> None:
        pass

    def gettimeout(self) -> float:
        return 0.01

    def send(self, request: bytes) -> int:
        sequence = HEADER.unpack_from(request)[3]
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self._parts = [part(sequence) for part in answer]
        self.requests += 1
        return len(request)

    def recvfrom_into(self, buffer: memoryview) -> tuple[int, tuple[int, int]]:
        part = self._parts.pop(0)
        buffer[: len(part)] = part
        return len(part), (0, 0)


def entries(*ports: int, late: int = 0, flags: int = 0) -> Part:
    """Connections from these ports; `late`: in answer to a request that was so many before."""

    def part(sequence: int) -> bytes:
        made = (
            Connection(src_port=port, counters=(1, 2, 3, 4), flags=0x2 | flags, sequence=sequence - late)
            for port in ports
        )
        return b"".join(raw + bytes(-len(raw) % 4) for raw in (item.message() for item in made))

    return part


def done(sequence: int) -> bytes:
    return message(NLMSG_DONE, 0, sequence, bytes(4))


def reader_of(*answers: list[Part]) -> tuple[TableReader, Table]:
    table: Any = Table(*answers)
    return TableReader("/somewhere", nsid=7, link_into=lambda path: table), table


def test_every_part_of_the_answer_is_read() -> None:
    reader, _ = reader_of([entries(1, 2), entries(3), done])
    records = reader.dump()
    assert records["src_port"].tolist() == [1, 2, 3]
    assert set(records["kind"].tolist()) == {MessageKind.DUMP}
    assert set(records["nsid"].tolist()) == {7}
    assert records["counted"].all()
    assert (reader.interrupted, reader.unreadable) == (False, 0)


def test_an_empty_table_is_no_record() -> None:
    reader, _ = reader_of([done])
    assert len(reader.dump()) == 0


def test_what_is_left_of_an_earlier_dump_is_passed_over() -> None:
    reader, _ = reader_of([entries(9, late=1), entries(1), done])
    assert reader.dump()["src_port"].tolist() == [1]


def test_a_table_that_changed_under_the_dump_is_read_again() -> None:
    reader, table = reader_of([entries(1, flags=NLM_F_DUMP_INTR), done], [entries(2), done])
    assert reader.dump()["src_port"].tolist() == [2]
    assert (reader.interrupted, table.requests) == (False, 2)


def test_one_that_never_stands_still_is_read_as_it_is_and_said_so() -> None:
    reader, table = reader_of([entries(1, flags=NLM_F_DUMP_INTR), done])
    assert reader.dump()["src_port"].tolist() == [1]
    assert (reader.interrupted, table.requests) == (True, ATTEMPTS)


def test_a_refusal_carries_its_errno() -> None:
    reader, _ = reader_of([lambda sequence: message(NLMSG_ERROR, 0, sequence, struct.pack("=i", -errno.EPERM))])
    with pytest.raises(PermissionError):
        reader.dump()

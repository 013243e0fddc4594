"""The decoder agrees with the values that went in, whatever their layout, and survives everything else."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.columns import NO_TCP_STATE, MessageKind
from collector.decode import MAX_LENGTH, Decoder
from tests.support.conntrack import Connection, pack

NUMBER = st.integers(0, 2**64 - 1)
V4, V6 = st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)


def maybe(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


@st.composite
def connections(draw: st.DrawFn) -> Connection:
    addresses = draw(st.sampled_from([V4, V6]))
    text = [draw(addresses) for _ in range(4)]
    if any(":" in item for item in text):
        text = [item if ":" in item else "::" for item in text]
    word, half, octet = st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1), st.integers(0, 255)
    return Connection(
        destroy=draw(st.booleans()),
        protocol=draw(st.sampled_from([1, 6, 17, 47, 58, 132, 200])),
        src=text[0],
        dst=text[1],
        reply_src=text[2],
        reply_dst=text[3],
        src_port=draw(half),
        dst_port=draw(half),
        icmp=draw(st.tuples(half, octet, octet)),
        id=draw(word),
        status=draw(maybe(word)),
        mark=draw(maybe(word)),
        zone=draw(maybe(half)),
        tcp_state=draw(maybe(octet)),
        timeout=draw(maybe(word)),
        counters=draw(maybe(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER))),
        start_ns=draw(maybe(NUMBER)),
        stop_ns=draw(maybe(NUMBER)),
        event_ns=draw(maybe(NUMBER)),
        others=draw(st.lists(st.tuples(st.integers(28, 0x3FFF), st.binary(max_size=9)), max_size=3).map(tuple)),
        flags=draw(half),
        sequence=draw(word),
    )


def check(record: np.void, want: Connection) -> None:
    def ip(text: str) -> bytes:
        return socket.inet_pton(want.family, text).ljust(16, b"\0")

    swapped = want.swapped()
    ports = want.protocol not in (1, 58)
    assert record["kind"] == (MessageKind.DESTROY if want.destroy else MessageKind.NEW)
    assert (record["family"], record["protocol"]) == (want.family, want.protocol)
    assert (record["src"].tobytes(), record["dst"].tobytes()) == (ip(want.src), ip(want.dst))
    assert (record["reply_src"].tobytes(), record["reply_dst"].tobytes()) == (ip(swapped.src), ip(swapped.dst))
    assert (record["src_port"], record["dst_port"]) == ((want.src_port, want.dst_port) if ports else (0, 0))
    assert (record["reply_src_port"], record["reply_dst_port"]) == ((want.dst_port, want.src_port) if ports else (0, 0))
    icmp = (record["icmp_id"], record["icmp_type"], record["icmp_code"])
    assert icmp == ((0, 0, 0) if ports else want.icmp)
    for column in ("id", "status", "mark", "zone", "timeout"):
        assert record[column] == (getattr(want, column) or 0)
    assert record["tcp_state"] == (NO_TCP_STATE if want.tcp_state is None else want.tcp_state)
    assert bool(record["counted"]) is (want.counters is not None)
    counters = tuple(int(record[name]) for name in ("packets", "bytes", "reply_packets", "reply_bytes"))
    assert counters == (want.counters or (0, 0, 0, 0))
    start, stop = want.start_ns, want.stop_ns
    if want.destroy and stop is None:
        stop = want.event_ns
    if not want.destroy and start is None:
        start = want.event_ns
    assert (int(record["start_ns"]), int(record["stop_ns"])) == (start or 0, stop or 0)


@settings(max_examples=150, deadline=None)
@given(st.lists(connections(), min_size=1, max_size=12), st.integers(0, 20), st.sampled_from([None, 1024]))
def test_values_come_out_as_they_went_in(wanted: list[Connection], templates: int, slot: int | None) -> None:
    batch = pack([item.message() for item in wanted], slot=slot)
    decoder = Decoder(max_templates=templates)
    for _ in range(2):  # first while learning, then from what was learned
        records, order = decoder.decode(batch.data, batch.offsets, batch.lengths)
        assert order.tolist() == list(range(len(wanted)))
        for record, want in zip(records, wanted, strict=True):
            check(record, want)
    assert decoder.unreadable == 0
    assert (decoder.walked == 0) or decoder.templates >= min(1, templates)


def mutate(raw: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    data = bytearray(raw)
    for where, value in changes:
        data[where % len(data)] = value
    return bytes(data[: max(0, len(data) - cut)])


HOSTILE = st.lists(
    st.builds(
        mutate,
        connections().map(Connection.message),
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
        st.sampled_from([0, 0, 0, 1, 4, 60, 1000]),
    )
    | st.binary(max_size=64),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(HOSTILE)
def test_templates_and_walker_agree_on_hostile_messages(raw: list[bytes]) -> None:
    batch = pack(raw)
    fast, slow = Decoder(), Decoder(max_templates=0)
    for times in (1, 2):
        records, order = fast.decode(batch.data, batch.offsets, batch.lengths)
        expected, places = slow.decode(batch.data, batch.offsets, batch.lengths)
        assert order.tolist() == places.tolist()
        assert records.tobytes() == expected.tobytes()
        assert fast.unreadable == slow.unreadable == times * (len(raw) - len(records))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=4), max_size=6), connections())
def test_a_stream_goes_on_behind_the_unreadable(junk: list[bytes], good: Connection) -> None:
    raw = good.message()
    batch = pack([*junk, raw, raw[:-1], raw])
    decoder = Decoder()
    records, order = decoder.decode(batch.data, batch.offsets, batch.lengths)
    assert order.tolist() == [len(junk), len(junk) + 2]
    check(records[1], good)
    assert decoder.unreadable == len(junk) + 1


def test_an_empty_batch_is_empty() -> None:
    batch = pack([])
    records, order = Decoder().decode(batch.data, batch.offsets, batch.lengths)
    assert (len(records), len(order)) == (0, 0)


def test_overlong_messages_are_counted() -> None:
    raw = Connection(others=((99, bytes(MAX_LENGTH)),)).message()
    batch = pack([raw, Connection().message()])
    decoder = Decoder()
    assert decoder.decode(batch.data, batch.offsets, batch.lengths)[1].tolist() == [1]
    assert decoder.unreadable == 1


def test_templates_are_capped_and_the_rest_is_walked() -> None:
    """Twenty layouts of equal length: the same attributes under other numbers."""
    wanted = [Connection(others=((100 + number, bytes(4)),), id=number) for number in range(20)]
    batch = pack([item.message() for item in wanted])
    decoder = Decoder(max_templates=16)
    records, _ = decoder.decode(batch.data, batch.offsets, batch.lengths)
    assert records["id"].tolist() == list(range(20))
    assert (decoder.templates, decoder.walked) == (16, 4)


@pytest.mark.parametrize("dump", [False, True], ids=["events", "dump"])
def test_the_kind_follows_the_source(dump: bool) -> None:
    batch = pack([Connection().message(), Connection(destroy=True).message()])
    decoder = Decoder(dump=dump)
    records, _ = decoder.decode(batch.data, batch.offsets, batch.lengths)
    assert records["kind"].tolist() == ([MessageKind.DUMP] if dump else [MessageKind.NEW, MessageKind.DESTROY])
    assert decoder.unreadable == int(dump)

"""A log's datagrams become records; gaps in the packet numbers are counted exactly."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.datagram import read_datagram
from collector.denied import PACKET_TYPE, Denied, DeniedDecoder
from collector.netlink import NFGENMSG, attribute, message

UDP4 = bytes.fromhex("450000220001000040110000c0000201c0000202") + struct.pack(">HHHH", 1000, 53, 14, 0)


def logged(
    sequence: int | None, prefix: bytes = b"rf:i:17\0", payload: bytes | None = UDP4, mark: int | None = None
) -> bytes:
    body = NFGENMSG.pack(socket.AF_INET, 0, 0) + attribute(1, bytes(4)) + attribute(10, prefix)
    body += b"" if mark is None else attribute(2, struct.pack(">I", mark))
    body += b"" if payload is None else attribute(9, payload)
    body += b"" if sequence is None else attribute(12, struct.pack(">I", sequence))
    return message(PACKET_TYPE, 0, 0, body)


def test_one_packet_is_one_record() -> None:
    (record,) = DeniedDecoder(7).decode([logged(0, mark=6)], 99)
    assert (record["netns"], record["rule"], bool(record["ingress"])) == (7, 17, True)
    assert (record["protocol"], record["src_port"], record["dst_port"], record["bytes"]) == (17, 1000, 53, 34)
    assert (record["mark"], record["received_ns"], record["family"]) == (6, 99, socket.AF_INET)
    assert record["src"].tobytes() == socket.inet_aton("192.0.2.1").ljust(16, b"\0")


def test_the_prefix_of_a_host_network_workload_holds_its_slot() -> None:
    records = DeniedDecoder(7).decode([logged(0, b"rf:e:17@255\0"), logged(1), logged(2, b"rf:i:18@3\0")], 1)
    assert records["slot"].tolist() == [255, 0, 3]
    assert records["rule"].tolist() == [17, 17, 18]


ECHO4 = bytes.fromhex("4500001c0001000040010000c0000201c0000202")
ECHO6 = bytes.fromhex("6000000000083a40") + bytes(15) + b"\1" + bytes(15) + b"\2"
OPTIONS4 = bytes.fromhex("460000200001000040010000c0000201c000020201010101")


@pytest.mark.parametrize("header", [ECHO4, ECHO6, OPTIONS4], ids=["v4", "v6", "v4 with options"])
@pytest.mark.parametrize("copied", [8, 4], ids=["whole", "cut short"])
def test_the_number_of_a_ping_is_read(header: bytes, copied: int) -> None:
    request = 128 if header is ECHO6 else 8
    pings = [header + struct.pack(">BBHHH", request, 0, 0, number, 1)[:copied] for number in (7, 0x0102)]
    records = DeniedDecoder(1).decode([logged(place, payload=ping) for place, ping in enumerate(pings)], 1)
    assert records["icmp_type"].tolist() == [request] * 2
    assert records["icmp_id"].tolist() == ([7, 0x0102] if copied == 8 else [0, 0])


def test_an_icmp_error_has_no_number() -> None:
    unreachable = ECHO4 + struct.pack(">BBHHH", 3, 4, 0, 77, 1500)
    assert DeniedDecoder(1).decode([logged(0, payload=unreachable)], 1)["icmp_id"].tolist() == [0]


@pytest.mark.parametrize("batches", [1, 3], ids=["one batch", "a batch each"])
@pytest.mark.parametrize(
    ("sequences", "lost"),
    [([0, 1, 2], 0), ([2], 2), ([0, 5, 6, 10], 7), ([0, None, 1], 0), ([], 0)],
    ids=["none", "before the first", "two gaps", "unnumbered", "nothing"],
)
def test_gaps_are_counted_exactly(sequences: list[int | None], lost: int, batches: int) -> None:
    decoder = DeniedDecoder(1)
    datagrams = [logged(sequence) for sequence in sequences]
    size = max(1, len(datagrams) // batches)
    for start in range(0, len(datagrams), size):
        decoder.decode(datagrams[start : start + size], 1)
    assert decoder.gaps == lost


def test_the_packet_number_wraps_around() -> None:
    decoder = DeniedDecoder(1, expected=0xFFFFFFFE)
    decoder.decode([logged(0xFFFFFFFF), logged(1)], 1)
    assert decoder.gaps == 2
    decoder.decode([logged(2)], 1)
    assert decoder.gaps == 2


def test_several_packets_in_one_datagram_keep_their_order() -> None:
    parts = [
        logged(number, mark=None if number % 2 else number, prefix=b"rf:e:%d\0" % (number + 1)) for number in range(8)
    ]
    joined = b"".join(part + bytes(-len(part) % 4) for part in parts)
    records = DeniedDecoder(1).decode([joined, logged(8, b"rf:e:9\0")], 1)
    assert records["rule"].tolist() == list(range(1, 10))


@pytest.mark.parametrize(
    "prefix", [b"", b"\0", b"other\0", b"rf:x:1\0", b"rf:i:99999999999\0", b"rf:i:\xff\0", b"rf:i:1@256\0"]
)
def test_other_prefixes_are_left_out_but_numbered(prefix: bytes) -> None:
    decoder = DeniedDecoder(1)
    assert len(decoder.decode([logged(0), logged(1, prefix), logged(2)], 1)) == 2
    assert (decoder.gaps, decoder.foreign, decoder.unreadable) == (0, 1, 0)


@pytest.mark.parametrize("payload", [None, b"", b"\x45", b"\x00" * 60])
def test_a_packet_that_is_no_ip_is_counted(payload: bytes | None) -> None:
    decoder = DeniedDecoder(1)
    assert len(decoder.decode([logged(0, payload=payload)], 1)) == 0
    assert (decoder.unreadable, decoder.gaps) == (1, 0)


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    head = draw(st.sampled_from(["45", "46", "60", "00"]))
    raw = bytearray(bytes.fromhex(head) + draw(st.binary(max_size=90)))
    protocol = draw(st.sampled_from([1, 6, 17, 58, 132, 47, 44, 0, 59]))
    if len(raw) > 9:
        raw[9 if head != "60" else 6] = protocol
    if len(raw) > 8 and head != "60" and draw(st.booleans()):
        raw[6:8] = draw(st.sampled_from([b"\0\0", b"\x40\0", b"\x20\0", b"\0\1"]))
    return bytes(raw)


MESSAGES = st.builds(
    logged,
    st.none() | st.integers(0, 2**32 - 1),
    st.sampled_from([b"rf:i:17\0", b"rf:e:18\0", b"rf:e:19@7\0", b"xx:e:19\0", b"rf:i:4000000\0"]),
    payloads(),
    st.none() | st.integers(0, 2**32 - 1),
)


def compare(datagrams: list[bytes]) -> Denied:
    fast, slow = DeniedDecoder(5), DeniedDecoder(5, max_templates=0)
    records = np.zeros(0)
    for _ in range(2):
        records, expected = fast.decode(datagrams, 3), slow.decode(datagrams, 3)
        assert records.tobytes() == expected.tobytes()
        assert (fast.gaps, fast.foreign, fast.unreadable) == (slow.gaps, slow.foreign, slow.unreadable)
    return records


@settings(max_examples=200, deadline=None)
@given(st.lists(MESSAGES, max_size=12))
def test_templates_agree_with_reading_one_by_one(datagrams: list[bytes]) -> None:
    compare(datagrams)


@given(payloads())
def test_a_record_says_what_the_packet_says(payload: bytes) -> None:
    records = compare([logged(0, payload=payload)])
    packet = read_datagram(payload)
    assert len(records) == (packet is not None)
    for record in records:
        assert packet is not None
        assert (record["src"].tobytes()[: len(packet.src)], record["dst"].tobytes()[: len(packet.dst)]) == packet[2:4]
        names = (
            "family",
            "protocol",
            "bytes",
            "src_port",
            "dst_port",
            "icmp_type",
            "icmp_code",
            "tcp_flags",
            "icmp_id",
        )
        assert tuple(int(record[name]) for name in names) == (*packet[:2], *packet[4:])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(MESSAGES | st.binary(max_size=60), max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 150), st.integers(0, 255)), max_size=6),
)
def test_hostile_datagrams_never_raise(datagrams: list[bytes], changes: list[tuple[int, int, int]]) -> None:
    raw = [bytearray(datagram) for datagram in datagrams]
    for which, where, value in changes:
        if which < len(raw) and raw[which]:
            raw[which][where % len(raw[which])] = value
    compare([bytes(item) for item in raw])

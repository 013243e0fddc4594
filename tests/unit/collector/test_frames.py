"""Frames: every link layer, every header chain, and whatever bytes there are."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.frames import LINK_TYPES, PACKET, FrameReader, Outcome

A4, B4 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
A6, B6 = bytes(15) + b"\1", bytes(15) + b"\2"
UDP = struct.pack(">HHHH", 1000, 53, 12, 0) + b"data"


def ipv4(payload: bytes, protocol: int = 17, number: int = 1, fragment: int = 0) -> bytes:
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), number, fragment, 64, protocol, 0) + A4 + B4 + payload


def ipv6(payload: bytes, following: int = 17) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(payload), following, 64) + A6 + B6 + payload


def read(link: int, frame: bytes, reader: FrameReader | None = None) -> np.void | Outcome:
    found = (reader or FrameReader()).read(link, frame, 5, len(frame))
    return found if isinstance(found, Outcome) else np.frombuffer(found, PACKET)[0]


MACS = bytes(12)
LINKS = {
    "ethernet": (1, MACS + b"\x08\x00"),
    "vlan": (1, MACS + b"\x81\x00\x00\x07\x08\x00"),
    "qinq": (1, MACS + b"\x88\xa8\x00\x07\x81\x00\x00\x08\x08\x00"),
    "raw": (101, b""),
    "raw 4": (228, b""),
    "null": (0, b"\2\0\0\0"),
    "loop": (108, b"\0\0\0\2"),
    "cooked": (113, bytes(14) + b"\x08\x00"),
    "cooked 2": (276, b"\x08\x00" + bytes(18)),
}


@pytest.mark.parametrize("name", LINKS, ids=list(LINKS))
def test_every_link_layer_leads_to_the_same_packet(name: str) -> None:
    link, header = LINKS[name]
    frame = header + ipv4(UDP)
    found = read(link, frame)
    assert isinstance(found, np.void)
    assert (found["src_port"], found["dst_port"], found["length"], found["frame"]) == (1000, 53, 32, len(frame))
    assert found["vlan"] == (7 if name in ("vlan", "qinq") else 0xFFFF)


@pytest.mark.parametrize(
    "chain",
    [b"", b"\x11\0" + bytes(6), b"\x2b\0" + bytes(6) + b"\x11\0" + bytes(6)],
    ids=["none", "hop by hop", "two"],
)
def test_extension_headers_are_passed(chain: bytes) -> None:
    found = read(101, ipv6(chain + UDP, 0 if chain else 17))
    assert isinstance(found, np.void)
    assert (found["protocol"], found["dst_port"], found["length"]) == (17, 53, 40 + len(chain) + 12)


def test_later_fragments_have_the_ports_of_the_first() -> None:
    reader = FrameReader()
    first = read(101, ipv4(UDP, number=9, fragment=0x2000), reader)
    later = read(101, ipv4(b"x" * 16, number=9, fragment=0x0002), reader)
    other = read(101, ipv4(b"x" * 16, number=8, fragment=0x0002), reader)
    assert isinstance(first, np.void) and isinstance(later, np.void) and isinstance(other, np.void)
    assert [int(item["dst_port"]) for item in (first, later, other)] == [53, 53, 0]
    assert not other["has_ports"]
    six = reader.read(101, ipv6(b"\x11\0\0\x01\0\0\0\x05" + UDP, 44), 5, 60)
    more = reader.read(101, ipv6(b"\x11\0\0\x10\0\0\0\x05" + b"y" * 8, 44), 5, 60)
    assert isinstance(six, bytes) and isinstance(more, bytes)
    assert np.frombuffer(more, PACKET)["src_port"][0] == 1000


def test_arp_is_not_ip_and_a_cut_header_is_unreadable() -> None:
    assert read(1, MACS + b"\x08\x06" + bytes(28)) is Outcome.NOT_IP
    assert read(1, MACS + b"\x08\x00" + ipv4(UDP)[:15]) is Outcome.UNREADABLE
    assert read(1, b"short") is Outcome.UNREADABLE
    assert read(147, ipv4(UDP)) is Outcome.UNREADABLE


def test_a_length_of_zero_is_what_the_frame_holds() -> None:
    packet = bytearray(ipv4(UDP))
    packet[2:4] = b"\0\0"
    found = read(1, MACS + b"\x08\x00" + bytes(packet))
    assert isinstance(found, np.void)
    assert found["length"] == 32


@given(st.sampled_from(sorted(LINK_TYPES)), st.binary(max_size=120), st.integers(0, 1 << 32))
def test_any_bytes_give_a_record_or_a_reason(link: int, frame: bytes, wire: int) -> None:
    found = FrameReader().read(link, frame, 0, wire)
    assert isinstance(found, Outcome) or len(found) == PACKET.itemsize


@given(st.binary(max_size=100), st.sampled_from([0, 43, 44, 51, 60, 135]))
def test_any_chain_of_extension_headers_ends(payload: bytes, following: int) -> None:
    found = FrameReader().read(101, ipv6(payload, following), 0, 40 + len(payload))
    assert isinstance(found, Outcome | bytes)

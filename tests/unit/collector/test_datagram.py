"""Headers of hostile and ordinary packets."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH
from scapy.packet import Packet

from collector.datagram import Datagram, read_datagram

V4 = {"src": "192.0.2.1", "dst": "192.0.2.2"}
V6 = {"src": "fd00::1", "dst": "fd00::2"}


def read(packet: Packet, copied: int = 128) -> Datagram:
    found = read_datagram(bytes(packet)[:copied])
    assert found is not None
    return found


@pytest.mark.parametrize(
    "head", [IP(**V4), IPv6(**V6), IP(**V4, options=[b"\x94\x04\0\0"])], ids=["v4", "v6", "options"]
)
def test_tcp_and_udp_have_ports(head: Packet) -> None:
    tcp = read(head / TCP(sport=1234, dport=443, flags="SA") / bytes(1000))
    assert (tcp.protocol, tcp.src_port, tcp.dst_port, tcp.tcp_flags) == (6, 1234, 443, 0x12)
    assert tcp.length == len(bytes(head / TCP() / bytes(1000)))
    udp = read(head / UDP(sport=1, dport=65535))
    assert (udp.protocol, udp.src_port, udp.dst_port, udp.tcp_flags) == (17, 1, 65535, 0)
    assert (ip_address(udp.src), ip_address(udp.dst)) == (ip_address(head.src), ip_address(head.dst))


def test_icmp_has_a_type() -> None:
    four = read(IP(**V4) / ICMP(type=3, code=4))
    six = read(IPv6(**V6) / ICMPv6EchoRequest())
    assert (four.family, four.icmp_type, four.icmp_code) == (2, 3, 4)
    assert (six.family, six.icmp_type, six.icmp_code) == (10, 128, 0)


@pytest.mark.parametrize(
    "extensions",
    [
        IPv6ExtHdrHopByHop(),
        IPv6ExtHdrRouting(addresses=["fd00::9"]),
        IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting(),
        IPv6ExtHdrFragment(offset=0, m=1),
        AH(nh=17, payloadlen=4, spi=1, icv=bytes(12)),
        IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(offset=0) / IPv6ExtHdrDestOpt(),
    ],
    ids=["hop by hop", "routing", "options and routing", "first fragment", "authentication", "several"],
)
def test_ipv6_extensions_are_passed_over(extensions: Packet) -> None:
    found = read(IPv6(**V6) / extensions / UDP(sport=7, dport=8))
    assert (found.protocol, found.src_port, found.dst_port) == (17, 7, 8)


@pytest.mark.parametrize(
    "packet",
    [
        IP(**V4, frag=10, proto=17) / (b"\xff" * 40),
        IPv6(**V6) / IPv6ExtHdrFragment(offset=10, nh=17) / (b"\xff" * 40),
        IP(**V4, proto=47) / (b"\xff" * 40),
        IPv6(**V6, nh=59) / (b"\xff" * 40),
        IP(**V4, proto=17),
    ],
    ids=["later fragment", "later fragment v6", "gre", "no next header", "cut before the ports"],
)
def test_without_a_transport_header_there_are_no_ports(packet: Packet) -> None:
    found = read(packet)
    assert (found.src_port, found.dst_port, found.icmp_type, found.tcp_flags) == (0, 0, 0, 0)


@pytest.mark.parametrize("packet", [b"", b"\x45", b"\x60" + bytes(38), b"\x44" + bytes(30), b"\x00" * 60, b"\xf0" * 60])
def test_what_is_no_ip_header_is_nothing(packet: bytes) -> None:
    assert read_datagram(packet) is None


@given(st.sampled_from([b"\x45", b"\x4f", b"\x60", b""]), st.binary(max_size=160))
def test_hostile_packets_never_raise(head: bytes, rest: bytes) -> None:
    found = read_datagram(head + rest)
    if found is not None:
        assert len(found.src) == len(found.dst) == (4 if found.family == 2 else 16)
        struct.pack("=BBHHBBIB", found.family, found.protocol, found.src_port, found.dst_port, found.icmp_type,
                    found.icmp_code, found.length, found.tcp_flags)  # fmt: skip

"""What passes the outer end of a quarantined interface: the programs, executed."""

from __future__ import annotations

import struct

import pytest

from enforcer.frames import MOST_INSTRUCTIONS, seal_of
from ringfence.errors import EnforcementFailed
from ringfence.model.quarantine import ControlledAccess
from ringfence.model.verdict import Direction
from tests.support.frames import datagram
from tests.support.rulesets import access, service

DROPPED, PASSED = 2, 0xFFFFFFFF
OUT_OF_FRAME = 0
INSIDE = {4: (b"\x02" * 6, "10.0.0.5", 22), 6: (b"\x02" * 6, "fd00::5", 22)}
OUTSIDE = {4: (b"\x04" * 6, "10.9.0.1", 5000), 6: (b"\x04" * 6, "fd09::1", 5000)}
SSH = [access(Direction.INGRESS, network, service(6, 22)) for network in ("10.9.0.0/24", "fd09::/64")]


def result(program: str, frame: bytes, *, tagged: bool = False) -> int:
    """Classic BPF as the kernel runs it: a load behind the end of the frame ends the program with 0."""
    code = [tuple(map(int, line.split())) for line in program.split(",")[1:]]
    place = value = index = 0
    sizes = {0x20: 4, 0x28: 2, 0x30: 1, 0x48: 2, 0x50: 1}
    while True:
        kind, yes, no, operand = code[place]
        place += 1
        if kind == 6:
            return operand
        if kind == 0x20 and operand == 0xFFFFF030:
            value = int(tagged)
        elif kind in sizes:
            start = operand + (index if kind in (0x48, 0x50) else 0)
            if start + sizes[kind] > len(frame):
                return OUT_OF_FRAME
            value = int.from_bytes(frame[start : start + sizes[kind]])
        elif kind == 0x80:
            value = len(frame)
        elif kind == 0xB1:
            index = 4 * (frame[operand] & 0xF)
        elif kind == 0x14:
            value -= operand
        elif kind == 0x54:
            value &= operand
        else:
            held = {0x15: value == operand, 0x35: value >= operand, 0x25: value > operand}
            held |= {0x45: bool(value & operand), 0x3D: value >= index}
            place += yes if held[kind] else no


def sent(frame: bytes, grants: list[ControlledAccess], **more: bool) -> int:
    return result(seal_of(grants).sent, frame, **more)


def frame(version: int, *, port: int = 22, protocol: int = 6) -> bytes:
    mac, address, _ = INSIDE[version]
    return datagram((mac, address, port), OUTSIDE[version], b"x" * 20, protocol=protocol)


@pytest.mark.parametrize("version", [4, 6])
def test_without_access_nothing_passes(version: int) -> None:
    assert sent(frame(version), []) == DROPPED
    assert sent(b"", []) == DROPPED


@pytest.mark.parametrize("version", [4, 6])
def test_only_the_named_service_passes_both_ways(version: int) -> None:
    assert sent(frame(version), SSH) == PASSED
    assert sent(frame(version, port=23), SSH) == DROPPED
    assert sent(frame(version, protocol=17), SSH) == DROPPED
    asked = datagram(OUTSIDE[version], INSIDE[version], b"x" * 20, protocol=6)
    assert result(seal_of(SSH).received, asked) == PASSED
    assert sent(frame(version), SSH, tagged=True) == DROPPED


@pytest.mark.parametrize("version", [4, 6])
def test_a_frame_cut_short_anywhere_never_leaves_the_program_by_its_end(version: int) -> None:
    whole = frame(version)
    grants = [
        *SSH,
        *(
            access(Direction.EGRESS, item, service(1 if version == 4 else 58, icmp_type=8))
            for item in ("10.9.0.0/24", "fd09::/64")
        ),
    ]
    for protocol in (6, 1, 58):
        whole = frame(version, protocol=protocol)
        assert OUT_OF_FRAME not in {sent(whole[:length], grants) for length in range(14, len(whole))}
    long_header = whole[:14] + b"\x4f" + whole[15:40]
    assert OUT_OF_FRAME not in {sent(long_header, grants)}


def test_a_later_fragment_has_no_ports_and_does_not_pass() -> None:
    whole = frame(4)
    assert sent(whole[:20] + struct.pack("!H", 5) + whole[22:], SSH) == DROPPED


def test_address_resolution_passes_only_where_an_access_needs_it() -> None:
    arp = b"\xff" * 6 + b"\x02" * 6 + b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" + b"\x00" * 20
    solicitation = (
        b"\x33\x33"
        + b"\x02" * 10
        + b"\x86\xdd\x60\x00\x00\x00\x00\x18\x3a\xff"
        + b"\x00" * 32
        + b"\x87\x00"
        + b"\x00" * 22
    )
    four, six = [SSH[0]], [SSH[1]]
    assert [sent(arp, four), sent(arp, six), sent(arp.ljust(200, b"x"), four)] == [PASSED, DROPPED, DROPPED]
    assert [sent(solicitation, six), sent(solicitation, four)] == [PASSED, DROPPED]


def test_a_list_longer_than_a_program_is_refused() -> None:
    with pytest.raises(EnforcementFailed, match="too long"):
        seal_of(
            [
                access(Direction.INGRESS, f"10.0.{number}.0/24", service(6, 1, 3, 5))
                for number in range(MOST_INSTRUCTIONS // 48)
            ]
        )

"""Made-up capture files: packets, and pcap or pcapng around them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import ip_address

MACS = bytes.fromhex("020000000002020000000001")


def packet(
    source: str,
    destination: str,
    *,
    protocol: int = 6,
    flags: int = 0,
    sequence: int = 1,
    payload: bytes = b"",
    upper: bytes | None = None,
) -> bytes:
    """An IP packet between `10.0.0.1:1000` and `[fd00::2]:80`; `upper` replaces the transport header and payload."""
    (src, sport), (dst, dport) = _end(source), _end(destination)
    if upper is None and protocol == 6:
        upper = struct.pack(">HHIIBBHHH", sport, dport, sequence, 0, 0x50, flags, 1000, 0, 0) + payload
    elif upper is None:
        upper = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    if len(src) == 4:
        return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(upper), 0, 0, 64, protocol, 0) + src + dst + upper
    return struct.pack(">IHBB", 6 << 28, len(upper), protocol, 64) + src + dst + upper


def ethernet(ip: bytes, *, vlan: int | None = None) -> bytes:
    kind = b"\x08\x00" if ip[0] >> 4 == 4 else b"\x86\xdd"
    return MACS + (struct.pack(">HH", 0x8100, vlan) if vlan is not None else b"") + kind + ip


def pcap(frames: Iterable[bytes], *, link: int = 1, start: float = 1_000_000.0, step: float = 0.001) -> bytes:
    """A little-endian microsecond pcap, a frame every `step` seconds."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)]
    for number, frame in enumerate(frames):
        micros = round((start + number * step) * 1_000_000)
        parts.append(struct.pack("<IIII", micros // 1_000_000, micros % 1_000_000, len(frame), len(frame)) + frame)
    return b"".join(parts)


def pcapng(sections: Iterable[tuple[int, list[bytes]]]) -> bytes:
    """A pcapng with a section per (link type, frames)."""
    parts = []
    for link, frames in sections:
        parts.append(_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        parts.append(_block(1, struct.pack("<HHI", link, 0, 65535)))
        for number, frame in enumerate(frames):
            ticks = 1_000_000_000_000 + number * 1000
            head = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
            parts.append(_block(6, head + frame + bytes(-len(frame) % 4)))
    return b"".join(parts)


def connection(source: str = "10.0.0.1:1000", destination: str = "10.0.0.2:80", *, sequence: int = 100) -> list[bytes]:
    """A whole TCP connection, seven packets: 4 from the client, 3 from the server, with 5 bytes of payload."""
    there, back = (source, destination), (destination, source)
    return [
        packet(*there, flags=2, sequence=sequence),
        packet(*back, flags=18, sequence=500),
        packet(*there, flags=16, sequence=sequence + 1),
        packet(*there, flags=24, sequence=sequence + 1, payload=b"hello"),
        packet(*back, flags=17, sequence=501),
        packet(*there, flags=17, sequence=sequence + 6),
        packet(*back, flags=16, sequence=502),
    ]


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _end(text: str) -> tuple[bytes, int]:
    address, _, port = text.rpartition(":")
    return ip_address(address.strip("[]")).packed, int(port)

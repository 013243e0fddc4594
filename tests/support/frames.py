"""Whole frames from and to a packet socket, which no rule in its namespace sees."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address
from pathlib import Path

from tests.support.sockets import inside

SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20


class Frames:
    """A packet socket on one interface of a namespace. `bypass` sends past every queue and filter of that interface."""

    def __init__(self, netns: Path | str, interface: str, *, bypass: bool = False) -> None:
        def made() -> socket.socket:
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            link.bind((interface, 3))
            return link

        self._link = inside(netns, made)
        self._link.settimeout(0.3)
        if bypass:
            self._link.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)

    def __enter__(self) -> Frames:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    @property
    def address(self) -> bytes:
        """The interface's own hardware address."""
        return bytes(self._link.getsockname()[4])

    def send(self, frame: bytes) -> None:
        self._link.send(frame)

    def holds(self, body: bytes) -> bool:
        """Whether a frame from elsewhere with this inside arrives."""
        while True:
            try:
                frame, origin = self._link.recvfrom(4096)
            except TimeoutError:
                return False
            if body in frame and origin[2] != socket.PACKET_OUTGOING:
                return True


def datagram(
    source: tuple[bytes, str, int], destination: tuple[bytes, str, int], body: bytes, *, protocol: int = 17
) -> bytes:
    """A UDP datagram in a frame; each end is hardware address, IP address and port."""
    (mac, address, port), (other_mac, other, other_port) = source, destination
    inner = struct.pack("!HHHH", port, other_port, 8 + len(body), 0) + body
    if ":" in address:
        header = struct.pack("!IHBB", 6 << 28, len(inner), protocol, 64)
        packed = header + ip_address(address).packed + ip_address(other).packed
        return other_mac + mac + b"\x86\xdd" + packed + inner
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inner), 1, 0, 64, protocol, 0)
    packed = header + ip_address(address).packed + ip_address(other).packed
    packed = packed[:10] + struct.pack("!H", _checksum(packed)) + packed[12:]
    return other_mac + mac + b"\x08\x00" + packed + inner


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF

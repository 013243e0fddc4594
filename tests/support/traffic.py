"""Traffic with exact figures, from and to any network namespace, over IPv4 and IPv6.

Sockets are created inside the namespace (`tests.support.sockets`) and driven by threads of the test, so counts are
known exactly and nothing has to be installed in a container. The processes' cgroup is the test's: where the cgroup
matters (host network), let commands in the container make the traffic.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.support.background import REFUSED, UNREACHABLE, Background
from tests.support.sockets import open_socket, open_sockets
from tests.support.streams import DatagramStream, Download

__all__ = [
    "DatagramStream",
    "Download",
    "Exchanged",
    "Probe",
    "TcpEcho",
    "UdpEcho",
    "probe_tcp",
    "probe_udp",
    "scan",
    "tcp_connections",
    "udp_exchanges",
]

Netns = Path | str


class Probe(StrEnum):
    OPEN = "open"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"


def _judge(error: OSError) -> Probe:
    if isinstance(error, TimeoutError):
        return Probe.TIMEOUT
    if error.errno in REFUSED:
        return Probe.REFUSED
    if error.errno in UNREACHABLE:
        return Probe.UNREACHABLE
    raise error


def probe_tcp(netns: Netns | None, address: str, port: int, *, timeout: float = 4.0) -> Probe:
    """One connection attempt: what does the client see?"""
    with open_socket(netns, address, socket.SOCK_STREAM) as client:
        client.settimeout(timeout)
        try:
            client.connect((address, port))
        except OSError as error:
            return _judge(error)
        return Probe.OPEN


def probe_udp(netns: Netns | None, address: str, port: int, *, timeout: float = 4.0) -> Probe:
    """One datagram that an echo server must answer; silence is `timeout`, an ICMP answer is `refused`."""
    with open_socket(netns, address, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        try:
            client.connect((address, port))
            client.send(b"probe")
            client.recv(64)
        except OSError as error:
            return _judge(error)
        return Probe.OPEN


def scan(
    netns: Netns, address: str, ports: Iterable[int], *, timeout: float = 0.5, at_once: int = 32
) -> dict[int, Probe]:
    """A TCP connect scan: each port is tried exactly once (the kernel repeats a SYN after one second)."""
    wanted = list(ports)
    with ThreadPoolExecutor(max_workers=max(1, min(at_once, len(wanted)))) as pool:
        found = pool.map(lambda port: probe_tcp(netns, address, port, timeout=timeout), wanted)
        return dict(zip(wanted, found, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """What a generator did. Bytes are payload; `sources` are the client's ports, one per connection, in order."""

    connections: int
    sent: int
    received: int
    sources: tuple[int, ...]


def tcp_connections(
    netns: Netns,
    address: str,
    port: int,
    count: int,
    *,
    payload: bytes = b"ringfence",
    timeout: float = 10.0,
    at_once: int = 100,
) -> Exchanged:
    """Exactly `count` connections to an echo server, one after another: send, half-close, read the echo to its end.

    Raises:
        AssertionError: an echo came back different.
        OSError: a connection failed.
    """
    sources: list[int] = []
    received = 0
    for first in range(0, count, at_once):
        with contextlib.ExitStack() as stack:
            clients = open_sockets(netns, address, socket.SOCK_STREAM, min(at_once, count - first))
            for client in clients:
                stack.callback(client.close)
            for client in clients:
                client.settimeout(timeout)
                client.connect((address, port))
                sources.append(client.getsockname()[1])
                client.sendall(payload)
                client.shutdown(socket.SHUT_WR)
                answer = _read_all(client)
                client.close()
                if answer != payload:
                    raise AssertionError(f"echo of {len(payload)} bytes came back as {len(answer)}")
                received += len(answer)
    return Exchanged(connections=count, sent=count * len(payload), received=received, sources=tuple(sources))


def udp_exchanges(
    netns: Netns, address: str, port: int, count: int, *, payload: bytes = b"ringfence", timeout: float = 5.0
) -> Exchanged:
    """Exactly `count` UDP exchanges, each from a new source port: one datagram there, one back."""
    sources: list[int] = []
    received = 0
    with contextlib.ExitStack() as stack:
        clients = open_sockets(netns, address, socket.SOCK_DGRAM, count)
        for client in clients:
            stack.callback(client.close)
        for client in clients:
            client.settimeout(timeout)
            client.connect((address, port))
            sources.append(client.getsockname()[1])
            client.send(payload)
            received += len(client.recv(65535))
    return Exchanged(connections=count, sent=count * len(payload), received=received, sources=tuple(sources))


def _read_all(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


class TcpEcho(Background):
    """An echo server in a namespace with exact counts. Answers several clients, one thread each.

    `connections` counts accepted connections, `received` their payload bytes, `peers` connections per client address.
    """

    def __init__(self, netns: Netns, address: str, port: int = 0, *, backlog: int = 1024) -> None:
        super().__init__()
        self._listener = open_socket(netns, address, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, port))
        self._listener.listen(backlog)
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=64)
        self.address, self.port = address, self._listener.getsockname()[1]
        self.connections = 0
        self.received = 0
        self.peers: Counter[str] = Counter()

    def _work(self) -> None:
        while not self._ending.is_set():
            client, peer = self._listener.accept()
            with self._lock:
                self.connections += 1
                self.peers[peer[0]] += 1
            self._pool.submit(self._echo, client)

    def _echo(self, client: socket.socket) -> None:
        with client:
            client.settimeout(30)
            try:
                while part := client.recv(65536):
                    with self._lock:
                        self.received += len(part)
                    client.sendall(part)
            except OSError:
                return

    def _wake(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        self._listener.close()
        self._pool.shutdown(wait=False, cancel_futures=True)


class UdpEcho(Background):
    """Echoes datagrams; `datagrams` and `received` (bytes) are exact, `peers` counts per (address, port)."""

    def __init__(self, netns: Netns, address: str, port: int = 0) -> None:
        super().__init__()
        self._socket = open_socket(netns, address, socket.SOCK_DGRAM)
        self._socket.settimeout(0.2)
        self._socket.bind((address, port))
        self.address, self.port = address, self._socket.getsockname()[1]
        self.datagrams = 0
        self.received = 0
        self.peers: Counter[tuple[str, int]] = Counter()

    def _work(self) -> None:
        while not self._ending.is_set():
            try:
                part, peer = self._socket.recvfrom(65535)
            except TimeoutError:
                continue
            self.datagrams += 1
            self.received += len(part)
            self.peers[peer[0], peer[1]] += 1
            try:
                self._socket.sendto(part, peer)
            except OSError as error:
                if error.errno not in REFUSED | UNREACHABLE:
                    raise

    def _close(self) -> None:
        self._socket.close()

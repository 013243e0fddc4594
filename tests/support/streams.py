"""Long-running traffic that knows when its last byte arrived."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from tests.support.background import REFUSED, UNREACHABLE, Background
from tests.support.sockets import open_socket

Netns = Path | str


class Download(Background):
    """A long download: the server in one namespace sends without end, the client in another reads.

    `last_received` is time.monotonic() of the last payload that reached the client, `received` the bytes so far.
    `source_port` is the client's. The rate is bounded (64 KiB every 10 ms by default).
    """

    def __init__(
        self, client: Netns, server: Netns, address: str, port: int = 0, *, chunk: int = 65536, pause: float = 0.01
    ) -> None:
        super().__init__()
        self._listener = open_socket(server, address, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, port))
        self._listener.listen(1)
        self._listener.settimeout(5)
        self._client = open_socket(client, address, socket.SOCK_STREAM)
        self._chunk, self._pause = bytes(chunk), pause
        self.address, self.port = address, self._listener.getsockname()[1]
        self._client.settimeout(5)
        self._client.connect((address, self.port))
        self._server, _ = self._listener.accept()
        self._server.settimeout(0.2)
        self._client.settimeout(0.2)
        self.source_port: int = self._client.getsockname()[1]
        self.received = 0
        self.last_received = 0.0
        self._sender = threading.Thread(target=self._send, daemon=True, name="download-sender")

    def _send(self) -> None:
        while not self._ending.is_set():
            try:
                self._server.send(self._chunk)
            except TimeoutError:
                continue
            except OSError:
                return
            self._ending.wait(self._pause)

    def _work(self) -> None:
        self._sender.start()
        while not self._ending.is_set():
            try:
                part = self._client.recv(1 << 20)
            except TimeoutError:
                continue
            if not part:
                return
            self.received += len(part)
            self.last_received = time.monotonic()

    def _expected(self, error: OSError) -> bool:
        return error.errno in REFUSED | UNREACHABLE

    def _close(self) -> None:
        if self._sender.ident is not None:
            self._sender.join(5)
        for item in (self._client, self._server, self._listener):
            item.close()


class DatagramStream(Background):
    """A UDP stream with sequence numbers from one namespace to another, a datagram every `interval` seconds.

    `sent` and `received` count datagrams, `last_received` is time.monotonic(), `last_sequence` the highest seen,
    `missing` those that never came below it. A send that the kernel refuses (EPERM) still counts as sent.
    """

    def __init__(
        self,
        client: Netns,
        server: Netns,
        address: str,
        port: int = 0,
        *,
        interval: float = 0.01,
        size: int = 200,
    ) -> None:
        super().__init__()
        self._receiver = open_socket(server, address, socket.SOCK_DGRAM)
        self._receiver.bind((address, port))
        self._receiver.settimeout(0.2)
        self.address, self.port = address, self._receiver.getsockname()[1]
        self._client = open_socket(client, address, socket.SOCK_DGRAM)
        self._client.connect((address, self.port))
        self.source_port: int = self._client.getsockname()[1]
        self._interval, self._size = interval, size
        self.sent = 0
        self.received = 0
        self.last_received = 0.0
        self.last_sequence = -1
        self._sender = threading.Thread(target=self._send, daemon=True, name="stream-sender")

    @property
    def missing(self) -> int:
        return self.last_sequence + 1 - self.received

    def _send(self) -> None:
        while not self._ending.is_set():
            datagram = self.sent.to_bytes(8, "big").ljust(self._size, b".")
            self.sent += 1
            try:
                self._client.send(datagram)
            except OSError as error:
                if error.errno not in REFUSED | UNREACHABLE:
                    return
            self._ending.wait(self._interval)

    def _work(self) -> None:
        self._sender.start()
        while not self._ending.is_set():
            try:
                part = self._receiver.recv(65535)
            except TimeoutError:
                continue
            self.received += 1
            self.last_received = time.monotonic()
            self.last_sequence = max(self.last_sequence, int.from_bytes(part[:8], "big"))

    def _close(self) -> None:
        if self._sender.ident is not None:
            self._sender.join(5)
        self._client.close()
        self._receiver.close()

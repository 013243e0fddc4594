"""A port on the loopback address of a network namespace that leads to the same port of the test's own loopback.

Servers of a whole run are started once, in the test's namespace; a service inside a lab host reaches them through this
under the very same address, so that certificates and settings hold in both places.

    with Relay(host.namespace.path, port):
        ...
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from tests.support.background import Background
from tests.support.sockets import open_socket

LOOPBACK = "127.0.0.1"
CHUNK = 1 << 16


class Relay(Background):
    """Passes bytes on, both ways, until it is stopped; then every connection through it is cut."""

    def __init__(self, netns: Path, port: int) -> None:
        super().__init__()
        self._port = port
        self._listener = open_socket(netns, LOOPBACK, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((LOOPBACK, port))
        self._listener.listen(64)
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._carry, sock=self._listener)
        await self._done.wait()
        server.close()
        carrying = asyncio.all_tasks() - {asyncio.current_task()}
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    async def _carry(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, on = await asyncio.open_connection(LOOPBACK, self._port)
            await asyncio.gather(_pour(here, on), _pour(there, back))
        back.close()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended already
            self._loop.call_soon_threadsafe(self._done.set)

    def _close(self) -> None:
        self._listener.close()


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(CHUNK):
            target.write(chunk)
            await target.drain()
    finally:
        target.close()

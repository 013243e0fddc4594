"""The HTTP server: cheroot with a fixed number of threads."""

from __future__ import annotations

import errno
import socket
import threading

from cheroot.wsgi import Server as WSGIServer
from flask import Flask

from ringfence.errors import RingfenceError
from ringfence.log import logger
from web.app import LARGEST_BODY

THREADS = 24
"""Requests answered at once; live streams hold one each and are limited separately."""
READ_SECONDS = 15
LARGEST_HEADER = 64 * 1024
CANNOT_LISTEN = {
    errno.EADDRINUSE: ("port {port} on {address} is in use", "stop what uses it, or choose another with --port"),
    errno.EADDRNOTAVAIL: ("{address} is no address of this host", "see `ip address`, or use 127.0.0.1"),
    errno.EACCES: ("port {port} needs privileges", "choose a port above 1023"),
}


class _Listener(WSGIServer):
    """Cheroot, with its errors in our log."""

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        if traceback or level >= 40:
            logger("web").error("server error", message=msg.strip(), exc_info=traceback)


class PortUnavailable(RingfenceError):
    """Nothing can listen at this address and port."""


class Server:
    """A running server: `start` returns once it listens, `stop` waits for requests in hand."""

    def __init__(self, app: Flask, address: str, port: int, threads: int) -> None:
        self._address, self._port = address, port
        self._server = _Listener(
            (address, port), app, numthreads=threads, timeout=READ_SECONDS, shutdown_timeout=3, server_name="ringfence"
        )
        self._server.max_request_header_size = LARGEST_HEADER
        self._server.max_request_body_size = LARGEST_BODY + 64 * 1024
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on, also when 0 was asked for."""
        return int(self._server.bind_addr[1])

    def start(self) -> None:
        """Listen and answer.

        Raises:
            PortUnavailable: the port is taken, or the address is not ours.
        """
        try:
            _probe(self._address, self._port)
            self._server.prepare()
        except OSError as error:
            words, hint = CANNOT_LISTEN.get(
                error.errno or 0, ("cannot listen on {address} port {port}: " + str(error), "")
            )
            raise PortUnavailable(words.format(address=self._address, port=self._port), hint=hint) from error
        self._thread = threading.Thread(target=self._server.serve, name="web", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.stop()
        if self._thread is not None:
            self._thread.join(10)
            self._thread = None


def serve(app: Flask, address: str, port: int, *, threads: int = THREADS) -> Server:
    """A server for an application; nothing listens before `start()`."""
    return Server(app, address, port, threads)


def _probe(address: str, port: int) -> None:
    """Bind once by ourselves: the server's own error hides which of the reasons it was."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))

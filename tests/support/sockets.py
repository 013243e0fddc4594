"""Sockets that belong to another network namespace.

A socket stays in the namespace it was created in, so a short-lived thread enters the namespace, creates it and is
gone; the caller uses it from anywhere. The process's own threads never change their namespace.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000
Result = TypeVar("Result")
_libc = ctypes.CDLL(None, use_errno=True)


def inside(netns: Path | str, work: Callable[[], Result]) -> Result:
    """Call `work` in a thread of its own that has entered the namespace at this path."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            handle = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(handle, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"cannot enter {netns}")
            finally:
                os.close(handle)
            results.append(work())
        except BaseException as error:  # noqa: BLE001 -- handed to the caller below
            errors.append(error)

    thread = threading.Thread(target=enter, name="netns")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET


def open_socket(netns: Path | str | None, address: str, kind: socket.SocketKind) -> socket.socket:
    """A socket of the address's family in the namespace; None is the process's own namespace."""
    family = family_of(address)
    if netns is None:
        return socket.socket(family, kind)
    return inside(netns, lambda: socket.socket(family, kind))


def open_sockets(netns: Path | str, address: str, kind: socket.SocketKind, count: int) -> list[socket.socket]:
    """Many at once: the namespace is entered once."""
    family = family_of(address)
    return inside(netns, lambda: [socket.socket(family, kind) for _ in range(count)])

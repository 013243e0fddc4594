"""Watching namespaces for changes by others: nftables notifications, and a cheap fingerprint for what sends none."""

from __future__ import annotations

import contextlib
import hashlib
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from enforcer.netns import Netns, run_in
from ringfence.errors import EnforcementFailed

NETLINK_NETFILTER = 12
NFTABLES_GROUP = 1 << 6
"""NFNLGRP_NFTABLES (7) as a bit of the address that is bound."""
GETGEN = 10 << 8 | 16
"""NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN: a number that grows with every transaction in the namespace."""
NEWGEN = 10 << 8 | 15
IPSET_LIST = 6 << 8 | 7
"""NFNL_SUBSYS_IPSET, IPSET_CMD_LIST."""
IPSET_PROTOCOL = struct.pack("=HHB3x", 5, 1, 7)
"""IPSET_ATTR_PROTOCOL 7."""
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
ERROR, DONE = 2, 3
HEADER = struct.Struct("=IHHII")
SETTLE_SECONDS = 0.01
"""A restore sends one notification per rule: wait until they have come."""
ANSWER_SECONDS = 2.0
Fingerprint = tuple[int, bytes]


@dataclass(slots=True)
class _Watched:
    events: socket.socket
    requests: socket.socket
    checked: float
    fingerprint: Fingerprint | None

    def close(self) -> None:
        self.events.close()
        self.requests.close()


class NetlinkWatch:
    """Two netlink sockets per namespace. One thread waits; `wake` may be called from any."""

    def __init__(self, *, legacy: bool, poll_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`legacy`: rules of that backend send no notification and have no generation, so every poll reports all."""
        self._legacy, self._poll, self._clock = legacy, poll_seconds, clock
        self._watched: dict[int, _Watched] = {}
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector.register(self._wake, selectors.EVENT_READ, 0)

    def wait(self, namespaces: Sequence[Netns], seconds: float) -> Mapping[int, float]:
        """Inodes that may have changed -> for how many seconds they may have been so. New ones count as changed."""
        changed = self._follow(namespaces)
        if not changed:
            changed = self._events(max(0.0, min(seconds, self._until_poll())))
        changed.update(self._polled())
        return changed

    def wake(self) -> None:
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        for inode in list(self._watched):
            self._forget(inode)
        self._selector.close()
        os.close(self._wake)

    def _follow(self, namespaces: Sequence[Netns]) -> dict[int, float]:
        wanted = {item.inode: item for item in namespaces}
        for inode in self._watched.keys() - wanted.keys():
            self._forget(inode)
        fresh: dict[int, float] = {}
        for inode in wanted.keys() - self._watched.keys():
            with contextlib.suppress(EnforcementFailed, OSError):
                events, requests = run_in(wanted[inode], _open_sockets)
                self._watched[inode] = _Watched(events, requests, self._clock(), _fingerprint(requests))
                self._selector.register(events, selectors.EVENT_READ, inode)
                fresh[inode] = 0.0
        return fresh

    def _forget(self, inode: int) -> None:
        watched = self._watched.pop(inode)
        self._selector.unregister(watched.events)
        watched.close()

    def _until_poll(self) -> float:
        now = self._clock()
        return min((item.checked + self._poll - now for item in self._watched.values()), default=self._poll)

    def _events(self, seconds: float) -> dict[int, float]:
        inodes = {key.data for key, _ in self._selector.select(seconds)}
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        inodes.discard(0)
        if inodes:
            time.sleep(SETTLE_SECONDS)
        for inode in inodes:
            watched = self._watched[inode]
            _drain(watched.events)
            watched.fingerprint, watched.checked = _fingerprint(watched.requests), self._clock()
        return dict.fromkeys(inodes, SETTLE_SECONDS)

    def _polled(self) -> dict[int, float]:
        found = {}
        for inode, watched in self._watched.items():
            now = self._clock()
            age = now - watched.checked
            if age < self._poll:
                continue
            seen = _fingerprint(watched.requests)
            if self._legacy or seen is None or seen != watched.fingerprint:
                found[inode] = age
            watched.fingerprint, watched.checked = seen, now
        return found


def _open_sockets() -> tuple[socket.socket, socket.socket]:
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    requests = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    events.bind((0, NFTABLES_GROUP))
    events.setblocking(False)
    requests.bind((0, 0))
    requests.settimeout(ANSWER_SECONDS)
    return events, requests


def _drain(events: socket.socket) -> None:
    """Read what has come. An overrun (ENOBUFS) is a change as well: the fingerprint has the last word."""
    while True:
        try:
            events.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            continue


def _fingerprint(requests: socket.socket) -> Fingerprint | None:
    """The generation of the rules and a digest of every set; None when the kernel does not answer."""
    try:
        return _generation(requests), _sets_digest(requests)
    except (OSError, struct.error):
        return None


def _generation(requests: socket.socket) -> int:
    requests.send(HEADER.pack(20, GETGEN, REQUEST, 1, 0) + bytes(4))
    while True:
        data = requests.recv(4096)
        kind, sequence = HEADER.unpack_from(data)[1], HEADER.unpack_from(data)[3]
        if sequence != 1:
            continue
        if kind == ERROR:
            return 0
        if kind == NEWGEN:
            number: int = struct.unpack_from(">I", data, HEADER.size + 8)[0]
            return number


def _sets_digest(requests: socket.socket) -> bytes:
    body = bytes([socket.AF_INET, 0, 0, 0]) + IPSET_PROTOCOL
    requests.send(HEADER.pack(HEADER.size + len(body), IPSET_LIST, REQUEST | ACK | DUMP, 2, 0) + body)
    digest = hashlib.blake2b(digest_size=16)
    while True:
        data = requests.recv(1 << 17)
        position = 0
        while position + HEADER.size <= len(data):
            length, kind, _, sequence, _ = HEADER.unpack_from(data, position)
            if sequence == 2 and kind in (ERROR, DONE):
                return digest.digest()
            if sequence == 2:
                digest.update(data[position + HEADER.size : position + length])
            if length < HEADER.size:
                break
            position += length + 3 & ~3

"""NFLOG: the packets that our rules denied, from one socket inside each watched namespace, with exact loss.

The kernel numbers the packets of each socket, so a gap in the numbers is the exact count of packets lost before it. For
loss that no later packet has shown yet, the socket's Drops count messages, each of which held one packet or more.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import threading
import time

import numpy as np

from collector.columns import DENIED
from collector.denied import Denied, DeniedDecoder
from collector.drops import Drops
from collector.namespaces import run_in
from collector.netlink import (
    NETLINK_NETFILTER,
    NETLINK_NO_ENOBUFS,
    NFGENMSG,
    NLM_F_ACK,
    NLM_F_REQUEST,
    NLMSG_ERROR,
    SOL_NETLINK,
    attribute,
    error_of,
    message,
    messages,
    open_socket,
)
from ringfence.errors import Conflict
from ringfence.model.ruleset import LOG_GROUP

CONFIG_TYPE = 4 << 8 | 1  # NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG
COPY_BYTES = 128
FLUSH_HUNDREDTHS = 2
"""The kernel passes on what it has gathered after 20 ms: what automation waits for at most."""
GATHER = 64
"""Packets gathered into one message at most."""
GATHER_BYTES = 16384
PART_BYTES = 65536
READ_PARTS = 64
"""Datagrams taken from one namespace at a time, so that a flood in one does not hold up the others."""


def configuration(group: int, sequence: int) -> bytes:
    """The request that binds a socket to the group: copy range, gathering, flush time, numbering of packets."""
    body = NFGENMSG.pack(socket.AF_UNSPEC, 0, socket.htons(group))
    body += attribute(1, b"\x01")  # NFULNL_CFG_CMD_BIND
    body += attribute(2, struct.pack(">IBB", COPY_BYTES, 2, 0))  # NFULNL_COPY_PACKET
    body += attribute(3, struct.pack(">I", GATHER_BYTES))
    body += attribute(4, struct.pack(">I", FLUSH_HUNDREDTHS))
    body += attribute(5, struct.pack(">I", GATHER))
    body += attribute(6, struct.pack(">H", 1))  # NFULNL_CFG_F_SEQ
    return message(CONFIG_TYPE, NLM_F_REQUEST | NLM_F_ACK, sequence, body)


class _Source:
    """The socket inside one namespace. Made on a thread that has entered it."""

    def __init__(self, inode: int, group: int, receive_buffer: int) -> None:
        self.log = DeniedDecoder(inode)
        self.early: list[Denied] = []
        """Records that came while the socket was being set up."""
        self._buffer = bytearray(PART_BYTES)
        self._explained = 0  # Drops that the gaps account for
        self.link = open_socket(NETLINK_NETFILTER, receive_buffer=receive_buffer)
        try:
            self.link.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)
            self._drops = Drops(self.link, NETLINK_NETFILTER)
            self._bind(group)
            self.link.setblocking(False)
        except BaseException:
            self.close()
            raise

    def drain(self) -> Denied:
        """Records of what waits, of `READ_PARTS` datagrams at most."""
        before = self.log.gaps
        datagrams: list[bytes] = []
        for _ in range(READ_PARTS):
            try:
                datagrams.append(self._receive())
            except BlockingIOError:
                break
        records = self.log.decode(datagrams, time.time_ns())
        if self.log.gaps != before:
            self._explained = self._drops.read()
        return records

    def lost(self) -> int:
        """Packets lost: gaps in the numbers, and one for each message dropped since the last gap was seen."""
        return self.log.gaps + self._drops.read() - self._explained

    def close(self) -> None:
        if hasattr(self, "_drops"):
            self._drops.close()
        self.link.close()

    def _bind(self, group: int) -> None:
        self.link.settimeout(5.0)
        self.link.send(configuration(group, 1))
        while True:
            datagram = self._receive()
            for kind, _, sequence, start, _ in messages(datagram):
                if kind == NLMSG_ERROR and sequence == 1:
                    code = error_of(datagram, start)
                    if code in (errno.EBUSY, errno.EPERM):  # EPERM: bound to another socket
                        raise Conflict(f"another program reads NFLOG group {group} in that namespace")
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
            self.early.append(self.log.decode([datagram], time.time_ns()))

    def _receive(self) -> bytes:
        """One datagram of the kernel's; others are empty: a process in the namespace may send to any socket there."""
        size, (sender, _) = self.link.recvfrom_into(self._buffer)
        return bytes(memoryview(self._buffer)[:size]) if sender == 0 else b""


class DeniedListener:
    """The denied packets of all watched namespaces. `read` belongs to one thread, the rest to any."""

    def __init__(self, *, group: int = LOG_GROUP, receive_buffer: int = 1 << 20) -> None:
        """`receive_buffer` in bytes is per namespace, forced."""
        self._group, self._receive_buffer = group, receive_buffer
        self._lock = threading.Lock()
        self._epoll = select.epoll()
        self._sources: dict[int, _Source] = {}
        self._by_descriptor: dict[int, _Source] = {}
        self._ended: dict[int, int] = {}
        self._early: list[Denied] = []
        self._unreadable = 0

    def watch(self, inode: int, path: str) -> None:
        """Read the log of the namespace `inode` at `path`. Idempotent.

        Raises:
            NotFound: the namespace is gone.
            NotPermitted: it may not be entered.
            Conflict: another program reads our group there.
        """
        with self._lock:
            if inode in self._sources:
                return
        source = run_in(path, lambda: _Source(inode, self._group, self._receive_buffer))
        with self._lock:
            self._sources[inode] = source
            self._by_descriptor[source.link.fileno()] = source
            self._epoll.register(source.link.fileno(), select.EPOLLIN)
            self._early.extend(source.early)
            self._ended.pop(inode, None)

    def forget(self, inode: int) -> None:
        """Stop reading it; `lost` tells its figure once more. Unknown inodes are ignored."""
        with self._lock:
            source = self._sources.pop(inode, None)
            if source is not None:
                self._ended[inode] = source.lost()
                self._unreadable += source.log.unreadable
                self._drop(source)

    def read(self, timeout: float) -> Denied:
        """Packets as they came, in order per namespace; empty when none came within `timeout` seconds."""
        ready = self._epoll.poll(0.0 if self._early else max(0.0, timeout))
        with self._lock:
            parts, self._early = self._early, []
            for descriptor, _ in ready:
                source = self._by_descriptor.get(descriptor)
                if source is not None:
                    parts.append(source.drain())
        return np.concatenate(parts) if parts else np.zeros(0, DENIED)

    def lost(self) -> dict[int, int]:
        """Packets lost per namespace inode since it is watched; a forgotten one appears in one more answer.

        Exact once a later packet has come from the namespace, until then not less than one per lost message.
        """
        with self._lock:
            ended, self._ended = self._ended, {}
            return ended | {inode: source.lost() for inode, source in self._sources.items()}

    @property
    def unreadable(self) -> int:
        """Packets with our prefix that are neither IPv4 nor IPv6, ever."""
        with self._lock:
            return self._unreadable + sum(source.log.unreadable for source in self._sources.values())

    def close(self) -> None:
        with self._lock:
            for source in self._sources.values():
                self._drop(source)
            self._sources.clear()
            self._epoll.close()

    def _drop(self, source: _Source) -> None:
        self._by_descriptor.pop(source.link.fileno(), None)
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(source.link.fileno())
        source.close()

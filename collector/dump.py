"""Dump: the connection table of one namespace, read over a netlink socket that stays inside it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator

import numpy as np

from collector.decode import Decoder
from collector.layout import GET_TYPE, NEW_TYPE
from collector.namespaces import OWN_NSID, run_in
from collector.netlink import (
    NETLINK_NETFILTER,
    NFGENMSG,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    error_of,
    first_sequence,
    message,
    messages,
    open_socket,
    receive_into,
)
from collector.rows import PADDING
from collector.templates import EMPTY, Records

PART_BYTES = 65536  # the kernel fills at most 32 KiB per part
CHUNK_BYTES = 1 << 20  # parts decoded together
ATTEMPTS = 3


def link_into(path: str) -> socket.socket:
    """A socket for netfilter's messages that stays in the namespace at `path`."""
    return run_in(path, lambda: open_socket(NETLINK_NETFILTER))


class TableReader:
    """The connection table of the namespace at `path`. One thread at a time.

    It keeps that namespace alive until closed: close it when the workload has ended.
    """

    def __init__(
        self,
        path: str,
        *,
        nsid: int = OWN_NSID,
        timeout: float = 10.0,
        link_into: Callable[[str], socket.socket] = link_into,
    ) -> None:
        """`nsid` is written into the records; `timeout` in seconds bounds each answer of the kernel.

        Raises:
            NotFound: the namespace is gone.
            NotPermitted: it may not be entered.
        """
        self.nsid = nsid
        self.interrupted = False
        """The last dump saw the table change under it in each attempt; it may miss or repeat entries."""
        self._sequence = first_sequence()
        self._decoder = Decoder(dump=True)
        self._buffer = np.zeros(CHUNK_BYTES + PADDING, np.uint8)
        self._link = link_into(path)
        self._link.settimeout(timeout)

    @property
    def unreadable(self) -> int:
        """Entries that could not be read, ever."""
        return self._decoder.unreadable

    def dump(self) -> Records:
        """Every entry, both families, kind DUMP, with counters where accounting is on.

        Raises:
            OSError: the kernel refused or did not answer in time.
        """
        for _ in range(ATTEMPTS):
            self.interrupted = False
            parts = list(self._dump())
            if not self.interrupted:
                break
        return np.concatenate(parts) if parts else EMPTY

    def close(self) -> None:
        self._link.close()

    def _dump(self) -> Iterator[Records]:
        self._sequence += 1
        body = NFGENMSG.pack(socket.AF_UNSPEC, 0, 0)
        self._link.send(message(GET_TYPE, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, body))
        view = self._buffer.data[:CHUNK_BYTES]
        filled, done = 0, False
        places: list[tuple[int, int]] = []
        while not done:
            size = receive_into(self._link, view[filled : filled + PART_BYTES])
            done = self._find(bytes(view[filled : filled + size]), filled, places)
            filled += size + 7 & ~7
            if done or filled + PART_BYTES > CHUNK_BYTES:
                yield self._decode(places)
                filled, places = 0, []

    def _find(self, part: bytes, base: int, places: list[tuple[int, int]]) -> bool:
        """Note the place of every entry of one part; True at the end of the dump."""
        for kind, flags, sequence, start, end in messages(part):
            if sequence != self._sequence:
                continue  # left over from a dump that timed out
            if flags & NLM_F_DUMP_INTR:
                self.interrupted = True
            if kind == NLMSG_DONE:
                return True
            if kind == NLMSG_ERROR:
                code = error_of(part, start)
                raise OSError(code, os.strerror(code))
            if kind == NEW_TYPE:
                places.append((base + start - 16, end - start + 16))
        return False

    def _decode(self, places: list[tuple[int, int]]) -> Records:
        if not places:
            return EMPTY
        table = np.array(places, np.int64)
        records, _ = self._decoder.decode(self._buffer, table[:, 0], table[:, 1])
        records["nsid"] = self.nsid
        records["received_ns"] = time.time_ns()
        return records

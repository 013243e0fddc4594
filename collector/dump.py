"""Dump: the connection table of one namespace, read over a netlink socket that stays inside it; and exact deletion."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator

import numpy as np

from collector.decode import Decoder
from collector.layout import DELETE_TYPE, GET_TYPE, NEW_TYPE
from collector.namespaces import OWN_NSID, run_in
from collector.netlink import (
    NETLINK_NETFILTER,
    NFGENMSG,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    attribute,
    error_of,
    first_sequence,
    message,
    messages,
    nested,
    open_socket,
    receive,
    receive_into,
)
from collector.rows import PADDING
from collector.templates import EMPTY, Records

PART_BYTES = 65536  # the kernel fills at most 32 KiB per part
CHUNK_BYTES = 1 << 20  # parts decoded together
DELETE_BATCH = 64  # requests per system call: their answers must fit the default receive buffer
ATTEMPTS = 3
PORT_PROTOCOLS = frozenset({6, 17, 33, 47, 132, 136})
"""TCP, UDP, DCCP, GRE (its keys), SCTP, UDPlite: the tuple has ports."""
ICMP, ICMPV6 = 1, 58


class TableReader:
    """The connection table of the namespace at `path`. One thread at a time.

    It keeps that namespace alive until closed: close it when the workload has ended.
    """

    def __init__(self, path: str, *, nsid: int = OWN_NSID, timeout: float = 10.0) -> None:
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
        self._link: socket.socket = run_in(path, lambda: open_socket(NETLINK_NETFILTER))
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

    def delete(self, records: Records) -> int:
        """Delete exactly these connections (tuple, zone and, where known, id); returns how many were there.

        Raises:
            OSError: the kernel refused for another reason than that the entry is gone.
        """
        deleted = 0
        for start in range(0, len(records), DELETE_BATCH):
            deleted += self._delete(records[start : start + DELETE_BATCH])
        return deleted

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

    def _delete(self, records: Records) -> int:
        first = self._sequence + 1
        self._sequence += len(records)
        requests = [delete_request(record, first + rank) for rank, record in enumerate(records)]
        self._link.send(b"".join(requests))
        deleted, failed = 0, 0
        waiting = len(requests)
        while waiting:
            datagram = receive(self._link, PART_BYTES)
            for kind, _, sequence, start, _ in messages(datagram):
                if kind != NLMSG_ERROR or not first <= sequence <= self._sequence:
                    continue
                waiting -= 1
                code = error_of(datagram, start)
                deleted += code == 0
                failed = code if code not in (0, errno.ENOENT) else failed
        if failed:
            raise OSError(failed, os.strerror(failed))
        return deleted


def delete_request(record: np.void, sequence: int) -> bytes:
    """IPCTNL_MSG_CT_DELETE for one `CONNTRACK` record. An id of 0 is not compared."""
    family, protocol = int(record["family"]), int(record["protocol"])
    width, kind = (4, 1) if family == socket.AF_INET else (16, 3)
    source, destination = record["src"].tobytes()[:width], record["dst"].tobytes()[:width]
    transport = [attribute(1, bytes([protocol]))]
    if protocol in PORT_PROTOCOLS:
        transport += [attribute(2, struct.pack(">H", record["src_port"]))]
        transport += [attribute(3, struct.pack(">H", record["dst_port"]))]
    elif protocol in (ICMP, ICMPV6):
        base = 4 if protocol == ICMP else 7
        transport += [attribute(base, struct.pack(">H", record["icmp_id"]))]
        transport += [attribute(base + 1, bytes([record["icmp_type"]]))]
        transport += [attribute(base + 2, bytes([record["icmp_code"]]))]
    addresses = nested(1, attribute(kind, source), attribute(kind + 1, destination))
    body = NFGENMSG.pack(family, 0, 0) + nested(1, addresses, nested(2, *transport))
    if record["id"]:
        body += attribute(12, struct.pack(">I", record["id"]))
    if record["zone"]:
        body += attribute(18, struct.pack(">H", record["zone"]))
    return message(DELETE_TYPE, NLM_F_REQUEST | NLM_F_ACK, sequence, body)

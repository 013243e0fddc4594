"""Reads a capture from stdin with scapy and writes packet records to stdout. A process of its own, in a cage.

Scapy stands under GPL-2.0 and its input is hostile: nothing else imports this module, and it gives up everything
before it reads the first byte: network, files (no descriptor is left), other users' rights, memory and time.

Output: frames of a tag byte, a little-endian length and a body. `P`: `PACKET` records. `E`: a JSON object, the last.
"""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import io
import json
import logging
import os
import resource
import struct
import sys
import zlib
from collections.abc import Iterator
from typing import Any

from scapy.error import Scapy_Exception
from scapy.utils import RawPcapNgReader, RawPcapReader

from collector.frames import LINK_TYPES, FrameReader, Outcome

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
NOBODY = 65534
PART_RECORDS = 4096
GZIP_MAGIC = b"\x1f\x8b"
PCAP_MAGICS = frozenset({b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1"})
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
MOST_BLOCK = 16 * 1024 * 1024
_LATEST_NS = (1 << 62) - 1


class TooMuch(Exception):
    """A limit of this process was reached; what was read so far stands."""


class Bounded(io.RawIOBase):
    """Bytes of a stream up to a limit; a single read never asks for more than a block may have."""

    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._left = stream, most
        self.cut = False
        """A read came up short: the file, or what is packed in it, ends in the middle of something."""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes.

        Raises:
            TooMuch: the limit is reached, or no honest file asks for this much at once.
        """
        if size < 0 or size > MOST_BLOCK:
            raise TooMuch(f"a block claims {size} bytes")
        try:
            data: bytes = self._stream.read(size)
        except (EOFError, OSError, zlib.error):  # scapy would take it for the end of the file
            self.cut = True
            return b""
        self._left -= len(data)
        self.cut |= 0 < len(data) < size
        if self._left < 0:
            raise TooMuch("it unpacks to more than the limit")
        return data


class SectionReader(RawPcapNgReader):
    """Scapy's pcapng reader, with interfaces that belong to their section and without TLS secrets."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        for block in (10, 0x80000001):
            self.blocktypes.pop(block, None)

    def _read_block_shb(self) -> None:
        self.interfaces.clear()
        super()._read_block_shb()


def cage(cpu_seconds: int, memory_bytes: int) -> list[str]:
    """Give up rights; returns what holds. What cannot be had without root is left out of the list."""
    libc = ctypes.CDLL(None, use_errno=True)
    holds: list[str] = []
    libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
    if libc.unshare(CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWUSER | CLONE_NEWNET) == 0:
        holds.append("no network")
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        holds.append("nobody")
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        holds.append("no new rights")
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    for name, value in (
        ("RLIMIT_CPU", cpu_seconds),
        ("RLIMIT_AS", memory_bytes),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NPROC", 0),
        ("RLIMIT_NOFILE", 3),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (value, value))
            holds.append(name)
    return holds


def packets(stream: Any) -> Iterator[tuple[int, bytes, int, int]]:
    """Link type, bytes, time in ns and wire length of each packet.

    Raises:
        Scapy_Exception: this is no capture.
        TooMuch: a limit was reached.
    """
    magic = stream.read(4)
    if magic in PCAP_MAGICS:
        reader = _reader(RawPcapReader, stream, magic)
        scale = 1 if reader.nano else 1000
        for data, meta in reader:
            yield reader.linktype & 0x0FFFFFFF, data, meta.sec * 1_000_000_000 + meta.usec * scale, meta.wirelen
    elif magic == PCAPNG_MAGIC:
        for data, meta in _reader(SectionReader, stream, magic):
            ticks = ((meta.tshigh or 0) << 32) + (meta.tslow or 0)
            yield meta.linktype, data, ticks * 1_000_000_000 // (meta.tsresol or 1), meta.wirelen
    else:
        raise Scapy_Exception("it is neither pcap nor pcapng")


def _reader(kind: Any, stream: Any, magic: bytes) -> Any:
    """A reader of this kind over a stream whose magic number was read. Scapy's own constructor opens files by name."""
    made: Any = object.__new__(kind)
    kind.__init__(made, "capture", stream, magic)
    return made


class Writer:
    """Frames to stdout and counts."""

    def __init__(self, output: Any) -> None:
        self._output = output
        self._rows: list[bytes] = []
        self.counts = {"packets": 0, "not_ip": 0, "unreadable": 0, "other_links": 0}

    def take(self, row: bytes | Outcome, *, known_link: bool) -> None:
        self.counts["packets"] += 1
        if isinstance(row, bytes):
            self._rows.append(row)
            if len(self._rows) >= PART_RECORDS:
                self.flush()
        elif not known_link:
            self.counts["other_links"] += 1
        else:
            self.counts["not_ip" if row is Outcome.NOT_IP else "unreadable"] += 1

    def flush(self) -> None:
        if self._rows:
            self._send(b"P", b"".join(self._rows))
            self._rows.clear()

    def end(self, **facts: Any) -> None:
        self.flush()
        self._send(b"E", json.dumps({**self.counts, **facts}).encode())

    def _send(self, tag: bytes, body: bytes) -> None:
        self._output.write(tag + struct.pack("<I", len(body)) + body)
        self._output.flush()


class Warnings(logging.Handler):
    """Keeps scapy's first words on what is wrong with the file."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.messages) < 5:
            self.messages.append(record.getMessage()[:200])


def run(raw: Any, output: Any, *, most_packets: int, most_bytes: int, holds: list[str]) -> None:
    """Read one capture and write all that can be had from it."""
    warnings = Warnings()
    scapy_log = logging.getLogger("scapy")
    for name in ("scapy", "scapy.runtime"):
        logging.getLogger(name).handlers = [warnings]
    scapy_log.propagate = False
    writer, frames = Writer(output), FrameReader()
    failure, broken = "", ""
    try:
        head = raw.peek(2)[:2]
        stream = Bounded(gzip.GzipFile(fileobj=raw) if head == GZIP_MAGIC else raw, most_bytes)
        for link_type, data, time_ns, wire in packets(stream):
            if writer.counts["packets"] >= most_packets:
                raise TooMuch(f"it has more than {most_packets} packets")
            row = frames.read(link_type, data, min(time_ns, _LATEST_NS), wire)
            writer.take(row, known_link=link_type in LINK_TYPES)
        if stream.cut:
            broken = "the file ends in the middle of a packet"
    except Scapy_Exception as error:
        failure = str(error)
    except (TooMuch, MemoryError) as error:
        broken = str(error) or "it needs more memory than is allowed"
    except (OSError, EOFError, zlib.error, struct.error, ValueError, ZeroDivisionError, OverflowError) as error:
        broken = f"the file is damaged: {error}"
    leftover = b""
    with contextlib.suppress(Exception):
        leftover = raw.read(1)
    writer.end(failure=failure, broken=broken, warnings=warnings.messages, leftover=bool(leftover), holds=holds)


def main(arguments: list[str]) -> int:
    """Arguments: seconds of processor time, bytes of memory, packets, unpacked bytes."""
    cpu_seconds, memory_bytes, most_packets, most_bytes = map(int, arguments)
    raw, output = io.BufferedReader(io.FileIO(0, closefd=False), 1 << 18), io.FileIO(1, "wb", closefd=False)
    holds = cage(cpu_seconds, memory_bytes)
    buffered = io.BufferedWriter(output, 1 << 18)
    run(raw, buffered, most_packets=most_packets, most_bytes=most_bytes, holds=holds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

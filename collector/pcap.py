"""Pcap: a capture file as flows. The file is read by `collector.scapy_reader` in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import select
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.capture_table import build_table, frame_bytes
from collector.conversations import Conversations
from collector.frames import PACKET
from ringfence.errors import NotFound, RingfenceError
from ringfence.model.flow import FlowBatch
from ringfence.model.gap import Gap, GapCause

BATCH_ROWS = 20_000
READ_BYTES = 1 << 18
MOST_BODY = 1 << 24
STEP_SECONDS = 0.2

Progress = Callable[[int, int], None]


class CaptureUnreadable(RingfenceError):
    """The file is no capture, or nothing could be read from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one import may take."""

    wall_seconds: float = 3600.0
    cpu_seconds: int = 3600
    memory_bytes: int = 1 << 30
    packets: int = 100_000_000
    conversations: int = 2_000_000
    """Held in the importing process's own memory, some 700 bytes each."""
    unpacked_bytes: int = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """`packets` were in the file; of these `unreadable` should have been IP and were not, `not_ip` are of no concern.

    `problems` are sentences. `frame_bytes` has flow_id, src_frame_bytes and dst_frame_bytes: what other tools count,
    link layer included, where the flows count IP bytes. `sandbox` names what held the reader.
    """

    table: pa.Table
    batches: tuple[FlowBatch, ...]
    packets: int
    unreadable: int = 0
    not_ip: int = 0
    problems: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    frame_bytes: pa.Table | None = None
    sandbox: tuple[str, ...] = ()

    @property
    def flows(self) -> int:
        return int(self.table.num_rows)


@dataclass(slots=True)
class _Reading:
    """What the reader has said so far."""

    conversations: Conversations = field(default_factory=Conversations)
    summary: dict[str, Any] = field(default_factory=dict)
    records: int = 0
    problem: str = ""


def import_capture(
    path: Path, host: str, progress: Progress = lambda done, total: None, limits: Limits | None = None
) -> ImportResult:
    """Every flow of a capture file. `progress` is given bytes read and bytes in all.

    Raises:
        NotFound: there is no such file.
        CaptureUnreadable: it is no capture, and why.
    """
    limits = limits or Limits()
    reading = _Reading()
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise CaptureUnreadable(f"{path.name} is empty", hint="was the capture stopped before it wrote anything?")
        _read(file, size, progress, limits, reading)
    progress(size, size)
    return _result(path, host, reading)


def _open(path: Path) -> BinaryIO:
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            raise CaptureUnreadable(f"{path.name} is not a regular file")
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}") from error
    except OSError as error:
        raise CaptureUnreadable(f"{path.name} cannot be opened: {error.strerror}") from error


def _read(file: BinaryIO, size: int, progress: Progress, limits: Limits, reading: _Reading) -> None:
    """Run the reader to its end, or end it when its time is over; what it said until then stands."""
    figures = (limits.cpu_seconds, limits.memory_bytes, limits.packets, limits.unpacked_bytes)
    # Nothing of our environment goes along but where Python finds its modules.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "collector.scapy_reader", *map(str, figures)],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        close_fds=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + limits.wall_seconds
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        for tag, body in _messages(process.stdout, deadline, lambda: progress(_position(file), size)):
            if tag == b"P":
                packets = np.frombuffer(body, PACKET)
                reading.records += len(packets)
                reading.conversations.take(packets)
                if len(reading.conversations.every) > limits.conversations:
                    reading.problem = f"reading was stopped after {limits.conversations} connections"
                    return
            elif tag == b"E":
                reading.summary = json.loads(body)
                return
        if time.monotonic() >= deadline:
            reading.problem = f"reading was stopped after {limits.wall_seconds:g} seconds"
    except (ValueError, struct.error):
        reading.problem = "the reader's answer makes no sense; it was stopped"
    finally:
        process.kill()
        code = process.wait()
        if process.stdout is not None:
            process.stdout.close()
        if not reading.summary and not reading.problem:
            reading.problem = f"the reader was ended by a limit or an error (status {code})"


def _messages(pipe: Any, deadline: float, step: Callable[[], None]) -> Iterator[tuple[bytes, bytes]]:
    """Tagged messages until the pipe ends or time is over. Raises ValueError for what no reader of ours writes."""
    buffer = bytearray()
    while True:
        while len(buffer) >= 5:
            length = struct.unpack_from("<I", buffer, 1)[0]
            if length > MOST_BODY or buffer[0] not in b"PE":
                raise ValueError("unknown message")
            if len(buffer) < 5 + length:
                break
            tag, body = bytes(buffer[:1]), bytes(buffer[5 : 5 + length])
            del buffer[: 5 + length]
            yield tag, body
        left = deadline - time.monotonic()
        if left <= 0:
            return
        step()
        ready, _, _ = select.select([pipe], [], [], min(left, STEP_SECONDS))
        if ready:
            part = os.read(pipe.fileno(), READ_BYTES)
            if not part:
                return
            buffer += part


def _position(file: BinaryIO) -> int:
    """How far the reader is: it shares the place in the file with us."""
    return os.lseek(file.fileno(), 0, os.SEEK_CUR)


def _result(path: Path, host: str, reading: _Reading) -> ImportResult:
    summary = reading.summary
    failure = str(summary.get("failure") or "")
    packets = max(int(summary.get("packets", 0)), reading.records)
    if failure and not packets:
        raise CaptureUnreadable(f"{path.name} is not a capture: {failure}", hint="pcap and pcapng files can be read")
    problems = [text for text in (reading.problem, str(summary.get("broken") or "")) if text]
    if failure:
        problems.append(f"the file is damaged: {failure}")
    problems += [f"the reader says: {text}" for text in summary.get("warnings", ()) if not problems]
    unreadable = int(summary.get("unreadable", 0)) + int(summary.get("other_links", 0))
    if summary.get("other_links"):
        problems.append(f"{summary['other_links']} packets have a link layer that is not read")
    if not packets and problems:
        raise CaptureUnreadable(f"nothing could be read from {path.name}: {problems[0]}")
    conversations = reading.conversations.every
    table = build_table(conversations, host)
    gaps = _gaps(host, table, unreadable, problems)
    return ImportResult(
        table=table,
        batches=tuple(_batches(host, table, gaps)),
        packets=packets,
        unreadable=unreadable,
        not_ip=int(summary.get("not_ip", 0)),
        problems=tuple(problems),
        gaps=gaps,
        frame_bytes=frame_bytes(conversations, table),
        sandbox=tuple(summary.get("holds", ())),
    )


def _gaps(host: str, table: pa.Table, unreadable: int, problems: list[str]) -> tuple[Gap, ...]:
    """What the capture does not tell, over its whole time; None when all could be read."""
    if not unreadable and not problems:
        return ()
    started, ended = datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(0, UTC)
    if table.num_rows:
        started, ended = pc.min(table["started"]).as_py(), pc.max(table["last_seen"]).as_py()
    lost = None if problems else unreadable
    detail = "; ".join(problems) or f"{unreadable} packets could not be read"
    key = hashlib.blake2b(f"{host}:{started}:{ended}:{detail}".encode(), digest_size=16).hexdigest()
    return (Gap(id=key, host=host, started=started, ended=ended, cause=GapCause.IMPORT, lost=lost, detail=detail),)


def _batches(host: str, table: pa.Table, gaps: tuple[Gap, ...]) -> Iterator[FlowBatch]:
    """Batches whose ids follow from their content: importing a file twice stores it once."""
    for start in range(0, max(table.num_rows, 1 if gaps else 0), BATCH_ROWS):
        flows = table.slice(start, BATCH_ROWS)
        digest = hashlib.blake2b(host.encode(), digest_size=16)
        for flow_id in flows["flow_id"].to_pylist():
            digest.update(flow_id.encode())
        first = gaps if start == 0 else ()
        for gap in first:
            digest.update(gap.id.encode())
        yield FlowBatch(id=digest.hexdigest(), host=host, flows=flows, gaps=first)

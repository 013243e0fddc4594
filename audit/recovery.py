"""Finds where an existing log ends, sets a torn line aside, and says what it met: nothing is dropped silently."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit import checkpoint as checkpoints
from audit.canonical import GENESIS, intact, read_tail
from audit.checkpoint import Checkpoint, CheckpointInvalid, read_checkpoint
from audit.segments import Segment, lines_backward, list_segments, sync_folder

_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnd:
    """Where writing goes on. `notes` are details of events to record, each with `what` happened and figures."""

    records: int
    head: str
    segment: Segment | None
    notes: tuple[dict[str, Any], ...] = ()


def find_end(folder: Path, sync: Callable[[int], None] = os.fsync) -> LogEnd:
    """Read the end of the log; a line without its newline goes to a `.torn` file, a checkpoint that the log does not
    live up to is kept as `checkpoint-<records>.lost.json`.

    Raises:
        OSError: the folder cannot be read or written.
    """
    notes: list[dict[str, Any]] = []
    segments = list_segments(folder)
    if segments and (note := _set_torn_aside(segments[-1].path, sync)):
        notes.append(note)
    records, head, damaged = _last_intact(segments)
    if damaged:
        notes.append({"what": "lines at the end are damaged and left where they are", "lines": damaged})
    if note := _hold_against_checkpoint(folder, segments, records, head):
        notes.append(note)
    return LogEnd(records=records, head=head, segment=segments[-1] if segments else None, notes=tuple(notes))


def _set_torn_aside(path: Path, sync: Callable[[int], None]) -> dict[str, Any] | None:
    data, whole = _tail_without_newline(path)
    if not data:
        return None
    aside = next(
        found for number in range(1, 1_000_000) if not (found := path.with_name(f"{path.name}.{number}.torn")).exists()
    )
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
        sync(descriptor)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    sync_folder(path.parent)
    os.truncate(path, whole)
    return {"what": "an unfinished line was set aside", "file": aside.name, "bytes": len(data)}


def _tail_without_newline(path: Path) -> tuple[bytes, int]:
    """What follows the last newline, and where it begins."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        tail = b""
        while position > 0:
            size = min(_BLOCK, position)
            position -= size
            file.seek(position)
            block = file.read(size)
            cut = block.rfind(b"\n")
            tail = block[cut + 1 :] + tail
            if cut >= 0:
                return tail, position + cut + 1
        return tail, 0


def _last_intact(segments: tuple[Segment, ...]) -> tuple[int, str, int]:
    damaged = 0
    for segment in reversed(segments):
        for line in lines_backward(segment.path):
            if intact(line) and (tail := read_tail(line)):
                return tail[0], tail[2], damaged
            damaged += 1
    return 0, GENESIS, damaged


def _hold_against_checkpoint(
    folder: Path, segments: tuple[Segment, ...], records: int, head: str
) -> dict[str, Any] | None:
    path = folder / checkpoints.NAME
    try:
        known = read_checkpoint(path)
    except CheckpointInvalid as error:
        if not path.exists():
            return {"what": str(error)} if records else None
        kept = _keep(path, "unreadable")
        return {"what": str(error), "kept": kept}
    there = head if known.records == records else _hash_of(segments, known.records)
    if there == known.head:
        return None
    kept = _keep(path, str(known.records))
    return _loss(known, records) | {"kept": kept}


def _loss(known: Checkpoint, records: int) -> dict[str, Any]:
    what = (
        "records are missing at the end" if known.records > records else "the record the checkpoint names was changed"
    )
    return {
        "what": what,
        "records_at_checkpoint": known.records,
        "records_found": records,
        "head_at_checkpoint": known.head,
    }


def _keep(path: Path, word: str) -> str:
    """Put the checkpoint aside: a good one is never overwritten by one that knows less."""
    for number in range(1, 1_000_000):
        kept = path.with_name(f"checkpoint-{word}-{number}.lost.json")
        if not kept.exists():
            path.rename(kept)
            sync_folder(path.parent)
            return kept.name
    raise OSError("too many checkpoints were put aside")


def _hash_of(segments: tuple[Segment, ...], sequence: int) -> str | None:
    """The hash of one record, wherever it is."""
    if sequence == 0:
        return GENESIS
    for segment in reversed(segments):
        if segment.first > sequence:
            continue
        for line in lines_backward(segment.path):
            tail = read_tail(line)
            if tail is not None and tail[0] == sequence and intact(line):
                return tail[2]
        return None
    return None

"""Checks a whole log offline: needs the folder, and nothing of the configuration or the program that wrote it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from audit import checkpoint as checkpoints
from audit.canonical import GENESIS, intact, read_tail
from audit.checkpoint import Checkpoint, CheckpointInvalid, read_checkpoint
from audit.segments import Segment, list_segments

LOCK_NAME = "lock"
LONGEST_LINE = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a walk over the log found: `records` are intact up to the first `problem`, which says where and what.

    `head` is the hash of the last of them; `first` and `last` are the times of the first and the last of them.
    """

    ok: bool
    records: int
    head: str = GENESIS
    first: datetime | None = None
    last: datetime | None = None
    problem: str | None = None
    absent: bool = False
    """There is no log at all: on the host that writes it a loss, elsewhere only the wrong place to look."""


@dataclass(slots=True)
class _Walk:
    """How far the walk has come."""

    records: int = 0
    head: str = GENESIS
    first: bytes = b""
    last: bytes = b""
    torn: str = ""


class _Broken(Exception):
    """The chain does not hold here."""


def verify(folder: Path, checkpoint: Path | None = None) -> Verification:
    """Read every record, check every hash, link and number, and that nothing is missing at the end.

    `checkpoint` is a copy kept elsewhere, to find a log that was put back as it once was; the one in the folder is
    checked as well. A line that another process is writing at this moment is not a problem. Raises nothing: what cannot
    be read is a problem.
    """
    walk = _Walk()
    if not folder.is_dir():
        return _result(walk, f"there is no audit log in {folder}", absent=True)
    try:
        known = _checkpoints(folder, checkpoint)
        alive = being_written(folder)
        _walk(list_segments(folder), walk, known)
        _check_end(folder, walk, known, alive)
    except (_Broken, CheckpointInvalid) as error:
        return _result(walk, str(error))
    except OSError as error:
        return _result(walk, f"{error.filename or folder} cannot be read: {error.strerror}")
    return _result(walk, None)


def being_written(folder: Path) -> bool:
    """Whether a process holds the log open for writing."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _checkpoints(folder: Path, outside: Path | None) -> tuple[tuple[str, Checkpoint], ...]:
    """The checkpoints to hold against the log, with where each is kept."""
    found: list[tuple[str, Checkpoint]] = []
    if outside is not None:
        try:
            found.append((str(outside), read_checkpoint(outside)))
        except CheckpointInvalid as error:
            raise CheckpointInvalid(f"{outside}: {error}") from error
    inside = folder / checkpoints.NAME
    if outside is None or inside.exists():
        try:
            found.append((inside.name, read_checkpoint(inside)))
        except CheckpointInvalid as error:
            raise CheckpointInvalid(f"{inside.name}: {error}, so a missing end would not be noticed") from error
    return tuple(found)


def _walk(segments: tuple[Segment, ...], walk: _Walk, known: tuple[tuple[str, Checkpoint], ...]) -> None:
    for segment in segments:
        name = segment.path.name
        if walk.torn:
            raise _Broken(walk.torn)
        if segment.first != walk.records + 1:
            raise _Broken(_out_of_place(f"the file {name}", segment.first, walk.records + 1))
        for number, line in enumerate(_lines(segment.path), start=1):
            where = f"line {number} of {name}"
            if not line.endswith(b"\n"):
                walk.torn = f"{where} is not complete"
                break
            _check_line(line[:-1], where, walk)
            for keeper, point in known:
                if point.records == walk.records and point.head != walk.head:
                    raise _Broken(f"record {walk.records} is not the one that {keeper} names")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=1024 * 1024) as file:
        while line := file.readline(LONGEST_LINE):
            yield line


def _check_line(line: bytes, where: str, walk: _Walk) -> None:
    tail = read_tail(line)
    if tail is None:
        raise _Broken(f"{where} is not a record (record {walk.records + 1} was expected)")
    sequence, previous, digest = tail
    if not intact(line):
        raise _Broken(f"{where} (record {sequence}) was changed: its content does not have the hash it states")
    if sequence != walk.records + 1:
        raise _Broken(_out_of_place(where, sequence, walk.records + 1))
    if previous != walk.head:
        raise _Broken(f"{where} (record {sequence}) does not follow from the record before it")
    walk.records, walk.head, walk.last = sequence, digest, line
    walk.first = walk.first or line


def _out_of_place(what: str, found: int, expected: int) -> str:
    if found > expected:
        missing = f"record {expected} is" if found == expected + 1 else f"records {expected} to {found - 1} are"
        return (
            f"{what} begins with record {found}: {missing} missing"
            if "file" in what
            else (f"{what} is record {found}: {missing} missing before it")
        )
    return f"{what} is record {found}, out of its place: record {expected} was expected"


def _check_end(folder: Path, walk: _Walk, known: tuple[tuple[str, Checkpoint], ...], alive: bool) -> None:
    for where, point in known:
        if point.records > walk.records:
            raise _Broken(
                f"the log ends after record {walk.records}, but {where} has seen {point.records} records: "
                "its end was removed or an older copy was put back"
            )
    if walk.torn and not alive:
        raise _Broken(walk.torn)
    for lost in sorted(folder.glob(checkpoints.LOST_PATTERN)):
        raise _Broken(f"{lost.name}: the log once had other or more records than it has now")


def _result(walk: _Walk, problem: str | None, *, absent: bool = False) -> Verification:
    return Verification(
        ok=problem is None,
        records=walk.records,
        head=walk.head,
        first=_time(walk.first),
        last=_time(walk.last),
        problem=problem,
        absent=absent,
    )


def _time(line: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads(line)["event"]["at"]) if line else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None

"""Reads the log without writing to it: any process may, while another one writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from audit.canonical import GENESIS, intact, read_line, read_tail
from audit.segments import lines_backward, list_segments
from audit.verify import Verification, verify
from ringfence.errors import AuditUnavailable, QueryInvalid
from ringfence.model.event import AuditRecord, EventAction

MOST_PER_PAGE = 1000
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """The last intact record: how many there are, and the hash of the last."""

    records: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Records, newest first; `cursor` continues, None at the end. `damaged` lines were met and left out."""

    records: tuple[AuditRecord, ...]
    cursor: str | None
    damaged: int = 0


class AuditReader:
    """Questions to the log in `folder`. A line that is being written is not seen; one that was changed is left out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def head(self) -> AuditHead:
        """Raises `AuditUnavailable` when the folder cannot be read, like every method here but `verify`."""
        for line in self._lines(newest_first=True):
            if intact(line) and (tail := read_tail(line)):
                return AuditHead(records=tail[0], hash=tail[2])
        return AuditHead()

    def records(self, *, newest_first: bool = False) -> Iterator[AuditRecord]:
        """Every intact record."""
        return (record for line in self._lines(newest_first=newest_first) if (record := read_line(line)) is not None)

    def page(
        self,
        *,
        limit: int = 100,
        cursor: str | None = None,
        actor: str = "",
        action: EventAction | None = None,
        text: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> AuditPage:
        """Newest first. `actor` is exact, `text` is looked for in all of the event without regard to case, times are
        [start, end) of the event.

        Raises:
            QueryInvalid: the cursor is none of ours, or `start` is after `end`.
        """
        before = _before(cursor)
        if start is not None and end is not None and start > end:
            raise QueryInvalid("the time range ends before it begins")
        wanted = text.casefold()
        # Most lines do not hold the word: they are passed over without being parsed, whether damaged or not.
        quick = wanted.encode() if wanted.isascii() and wanted.isalnum() else b""
        damaged = 0
        found: list[AuditRecord] = []
        for line in self._lines(newest_first=True, before=before):
            if quick and quick not in line.lower():
                continue
            record = read_line(line)
            if record is None:
                damaged += 1
            elif _matches(record, actor, action, start, end) and wanted in _searchable(record):
                found.append(record)
                if len(found) > max(1, min(limit, MOST_PER_PAGE)):
                    break
        kept = tuple(islice(found, max(1, min(limit, MOST_PER_PAGE))))
        return AuditPage(
            records=kept, cursor=str(kept[-1].sequence) if len(found) > len(kept) else None, damaged=damaged
        )

    def matching(
        self,
        *,
        actor: str = "",
        action: EventAction | None = None,
        text: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Iterator[AuditRecord | None]:
        """Every record that `page` would find, oldest first; None for each line that cannot be read, whatever it
        may have held."""
        wanted = text.casefold()
        for line in self._lines(newest_first=False):
            record = read_line(line)
            if record is None or (
                _matches(record, actor, action, start, end) and (not wanted or wanted in _searchable(record))
            ):
                yield record

    def verify(self, checkpoint: Path | None = None) -> Verification:
        return verify(self.folder, checkpoint)

    def _lines(self, *, newest_first: bool, before: int | None = None) -> Iterator[bytes]:
        try:
            segments = list_segments(self.folder)
            for segment in reversed(segments) if newest_first else segments:
                if before is not None and segment.first >= before:
                    continue
                lines = lines_backward(segment.path) if newest_first else _lines_forward(segment.path)
                for line in lines:
                    if before is None or (tail := read_tail(line)) is None or tail[0] < before:
                        yield line
        except OSError as error:
            raise AuditUnavailable(f"the audit log cannot be read: {error.strerror}") from error


def _lines_forward(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=_CHUNK) as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def _before(cursor: str | None) -> int | None:
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 16):
        raise QueryInvalid("the cursor is not one of this log")
    return int(cursor)


def _matches(
    record: AuditRecord, actor: str, action: EventAction | None, start: datetime | None, end: datetime | None
) -> bool:
    event = record.event
    return (
        (not actor or event.actor == actor)
        and (action is None or event.action is action)
        and (start is None or event.at >= start)
        and (end is None or event.at < end)
    )


def _searchable(record: AuditRecord) -> str:
    event = record.event
    detail = json.dumps(dict(event.detail), ensure_ascii=False)
    return " ".join([event.actor, event.action, event.target, event.outcome, event.origin, detail]).casefold()

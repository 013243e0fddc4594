"""Spool: a bounded queue of batches on disk. A batch counts as taken when it is fsynced; it leaves when acknowledged.

One file per batch (`spool_file`); a damaged one is a gap. Its name is its place and its id, so a batch that is sent
twice has the same id.
Full means: the oldest batch is dropped, and a gap with its exact count follows.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from collector.spool_file import DAMAGE, Packed, pack, unpack
from ringfence.clock import Clock, utc_now
from ringfence.log import logger
from ringfence.metrics import EVENTS_LOST, SPOOL_BYTES
from ringfence.model.flow import FLOW_SCHEMA, FlowBatch
from ringfence.model.gap import Gap, GapCause

_NAME = re.compile(r"^(\d{16})-([0-9a-f]{32})-(\d+)\.arrow$")
HEARTBEAT = "alive"
ROOM_FOR_GAPS = 2048
GAP_BYTES = 400
"""About what one gap takes in a batch."""
MOST_KEPT = 32
"""Gaps of dropped batches that travel one by one; of more, those of one cause become one."""
MOST_CORRUPT = 8
"""Batches that cannot be read are kept aside for whoever looks into it, the oldest of more are deleted."""
USUAL_WAIT = timedelta(seconds=10)
"""A batch that waits for longer is held up; usually it leaves within a second."""
DROP_AT_ONCE = 16
"""Batches dropped for one that does not fit, when the file system itself is full."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    batch_id: str
    rows: int
    size: int
    written: datetime


@dataclass(slots=True)
class _Loss:
    """What was dropped and not reported yet, and the time it tells of."""

    rows: int = 0
    since: datetime | None = None
    until: datetime | None = None


class Spool:
    """Thread-safe. `put` is for the collector, `peek` and `ack` for whoever ships."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str,
        max_bytes: int,
        clock: Clock = utc_now,
        sync: Callable[[int], None] = os.fsync,
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
        owner: bool = True,
    ) -> None:
        """Take up the batches that a former run left in `folder`; half-written files are removed.

        `owner` False: another process writes, this one only looks (`pending`).
        """
        self._folder, self._host, self._max = folder, host, max_bytes
        self._clock, self._sync, self._new_id = clock, sync, new_id
        self._lock = threading.RLock()
        self._log = logger("spool")
        self._loss = {GapCause.SPOOL_FULL: _Loss(), GapCause.UNREADABLE: _Loss()}
        self._kept: tuple[Gap, ...] = ()
        self._before: datetime | None = None  # when the batch that left last was written
        self._told_since: datetime | None = None  # the earliest beginning of a gap put since all had left
        folder.mkdir(parents=True, exist_ok=True)
        for item in folder.glob("*.part") if owner else ():
            item.unlink(missing_ok=True)
        self._entries = sorted(self._listed(), key=lambda item: item.name)
        self._next = 1 + max((int(item.name[:16]) for item in self._entries), default=0)
        if owner:
            self._told_since = min((gap.started for batch in self.pending() for gap in batch.gaps), default=None)
        self._note_size()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """Bytes waiting."""
        return sum(item.size for item in self._entries)

    @property
    def held_up_since(self) -> datetime | None:
        """Since when what was put, flows or gaps, may not have left; None while nothing waits longer than usual."""
        with self._lock:
            oldest = self._entries[0].written if self._entries else None
            if oldest is None or self._clock() - oldest <= USUAL_WAIT:
                return None
            return min(oldest, self._told_since or oldest)

    def put(self, batch: FlowBatch) -> None:
        """Append and fsync. What does not fit is dropped and counted; it never raises for a full disk."""
        with self._lock:
            self._write(batch.id or self._new_id(), batch.flows, batch.gaps)

    def peek(self) -> FlowBatch | None:
        """The oldest batch, None when empty. The same one until it is acknowledged or dropped."""
        with self._lock:
            while self._entries:
                entry = self._entries[0]
                try:
                    return self._read(entry)
                except DAMAGE as error:
                    self._set_aside(entry, error)
            if self._kept or any(loss.since for loss in self._loss.values()):
                self._write(self._new_id(), FLOW_SCHEMA.empty_table(), ())
                return self.peek() if self._entries else None
            return None

    def ack(self, batch_id: str) -> None:
        """This batch is stored elsewhere: forget it. Unknown ids are ignored (it may have been dropped meanwhile)."""
        with self._lock:
            for entry in self._entries[:DROP_AT_ONCE]:
                if entry.batch_id == batch_id:
                    self._remove(entry)
                    return

    def pending(self) -> Iterator[FlowBatch]:
        """Every readable batch that waits, oldest first, without taking any."""
        for entry in list(self._entries):
            try:
                yield self._read(entry)
            except DAMAGE:
                continue

    def beat(self, until: datetime | None = None) -> None:
        """Note that all until then (now) was put; the next start finds here since when something may be missing."""
        part = self._folder / f"{HEARTBEAT}.part"
        try:
            part.write_text((until or self._clock()).isoformat(), encoding="ascii")
            part.replace(self._folder / HEARTBEAT)
        except OSError as error:
            self._log.warning("heartbeat cannot be written", error=str(error))

    def downtime(self) -> Gap | None:
        """The window since the last beat of a former run, as a gap; None on the first run.

        A beat that a power cut left unreadable is taken from the file's own time; after the clock was set back below
        the last beat the window has no length, but is said.
        """
        path, now = self._folder / HEARTBEAT, self._clock()
        try:
            last = min(_beat_in(path), now)
        except OSError:
            return None
        return Gap(
            id=f"{self._host}:down:{last.isoformat()}",
            host=self._host,
            started=last,
            ended=now,
            cause=GapCause.NOT_RUNNING,
            detail="connections that began and ended in this window were not seen",
        )

    def _listed(self) -> Iterator[_Entry]:
        for item in self._folder.glob("*.arrow"):
            match = _NAME.match(item.name)
            if match:
                with contextlib.suppress(FileNotFoundError):  # acknowledged meanwhile
                    facts = item.stat()
                    written = datetime.fromtimestamp(facts.st_mtime, UTC)
                    yield _Entry(item.name, match[2], int(match[3]), facts.st_size, written)

    def _write(self, batch_id: str, flows: pa.Table, gaps: tuple[Gap, ...]) -> None:
        """Store a batch together with the gap of whatever had to go for it, so that no kill can part the two."""
        size = len(pack(self._host, flows, gaps)) + ROOM_FOR_GAPS
        while self._entries and self.bytes + size + GAP_BYTES * len(self._kept) > self._max:
            self._drop(self._entries[0])
        for _ in range(DROP_AT_ONCE):
            gaps = (*gaps, *self._due_gaps())
            try:
                self._store(batch_id, flows.num_rows, pack(self._host, flows, gaps))
                told = (self._told_since, *(gap.started for gap in gaps))
                self._told_since = min((moment for moment in told if moment is not None), default=None)
                return
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or not self._entries:
                    self._log.warning("batch cannot be written", error=str(error))
                    break
                self._drop(self._entries[0])
        self._count(GapCause.SPOOL_FULL, flows.num_rows, _span(flows))
        self._keep(gaps)

    def _store(self, batch_id: str, rows: int, data: Packed) -> None:
        name = f"{self._next:016d}-{batch_id}-{rows}.arrow"
        part = self._folder / f"{name}.part"
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                self._sync(file.fileno())
            part.replace(self._folder / name)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        self._sync_folder()
        self._next += 1
        self._entries.append(_Entry(name, batch_id, rows, len(data), self._clock()))
        self._note_size()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)

    def _read(self, entry: _Entry) -> FlowBatch:
        return unpack((self._folder / entry.name).read_bytes(), entry.batch_id, entry.rows)

    def _keep(self, gaps: Iterable[Gap]) -> None:
        """Have these travel with the next batch. However long that takes, they are few."""
        kept = {gap.id: gap for gap in (*self._kept, *gaps)}  # a gap that grew has the same id
        self._kept = tuple(kept.values())
        if len(self._kept) > MOST_KEPT:
            self._kept = tuple(_merged(list(group), self._new_id()) for group in _by_cause(self._kept))

    def _remove(self, entry: _Entry) -> None:
        try:
            (self._folder / entry.name).unlink(missing_ok=True)
        except OSError as error:
            # The next start takes it up again, under the same id.
            self._log.warning("batch cannot be removed", batch=entry.batch_id, error=str(error))
        self._forget(entry)

    def _forget(self, entry: _Entry) -> None:
        self._entries.remove(entry)
        self._before = entry.written
        self._told_since = self._told_since if self._entries else None
        self._note_size()

    def _drop(self, entry: _Entry) -> None:
        """Give up the oldest: its rows are counted, its own gaps are kept for the next batch."""
        span: tuple[datetime, datetime] | None = self._span_of(entry)
        try:
            batch = self._read(entry)
            span = _span(batch.flows)
            self._keep(batch.gaps)
        except DAMAGE:
            self._log.warning("gaps of a dropped batch are lost with it", batch=entry.batch_id)
        self._remove(entry)
        self._count(GapCause.SPOOL_FULL, entry.rows, span)

    def _set_aside(self, entry: _Entry, error: Exception) -> None:
        self._log.error("batch cannot be read, set aside", batch=entry.batch_id, error=str(error))
        path = self._folder / entry.name
        if path.exists():
            path.replace(path.with_suffix(".corrupt"))
            for oldest in sorted(self._folder.glob("*.corrupt"))[:-MOST_CORRUPT]:
                oldest.unlink(missing_ok=True)
        span = self._span_of(entry)
        self._forget(entry)
        self._count(GapCause.UNREADABLE, entry.rows, span)

    def _span_of(self, entry: _Entry) -> tuple[datetime, datetime]:
        """The time a batch tells of that cannot be read: since the batch before it, as far as that is known."""
        return min(self._before or entry.written, entry.written), entry.written

    def _count(self, cause: GapCause, rows: int, span: tuple[datetime, datetime] | None) -> None:
        """`span`: what the rows tell of; None: there were none."""
        if span is None:
            return
        loss = self._loss[cause]
        loss.rows += rows
        loss.since, loss.until = min(loss.since or span[0], span[0]), max(loss.until or span[1], span[1])
        EVENTS_LOST.labels(cause=cause.value).inc(rows)

    def _due_gaps(self) -> tuple[Gap, ...]:
        """Gaps that are to travel with the next batch; they are this batch's from then on."""
        gaps, self._kept = self._kept, ()
        for cause, loss in self._loss.items():
            if loss.since is not None and loss.until is not None:
                gap_id = f"{self._host}:{cause.value}:{self._new_id()}"
                gap = Gap(id=gap_id, host=self._host, started=loss.since, ended=loss.until, cause=cause, lost=loss.rows)
                gaps = (*gaps, gap)
                loss.rows, loss.since, loss.until = 0, None, None
        return gaps

    def _note_size(self) -> None:
        SPOOL_BYTES.set(self.bytes)


def _span(flows: pa.Table) -> tuple[datetime, datetime] | None:
    """From the first beginning to the last sight of these rows; None when there are none."""
    if not flows.num_rows:
        return None
    return pc.min(flows["started"]).as_py(), pc.max(flows["last_seen"]).as_py()


def _beat_in(path: Path) -> datetime:
    try:
        beat = datetime.fromisoformat(path.read_text(encoding="ascii"))
    except ValueError:
        beat = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return beat if beat.tzinfo is not None else beat.replace(tzinfo=UTC)


def _by_cause(gaps: Iterable[Gap]) -> Iterator[Iterator[Gap]]:
    def key(gap: Gap) -> tuple[str, str]:
        return gap.host, gap.cause.value

    return (group for _, group in itertools.groupby(sorted(gaps, key=key), key))


def _merged(gaps: list[Gap], new_id: str) -> Gap:
    """One gap over the time of several of one host and cause."""
    if len(gaps) == 1:
        return gaps[0]
    known = [gap.lost for gap in gaps if gap.lost is not None]
    return Gap(
        id=f"{gaps[0].host}:{gaps[0].cause.value}:{new_id}",
        host=gaps[0].host,
        started=min(gap.started for gap in gaps),
        ended=max(gap.ended for gap in gaps),
        cause=gaps[0].cause,
        lost=sum(known) if len(known) == len(gaps) else None,
        detail=f"{len(gaps)} gaps in one: the spool was full",
    )

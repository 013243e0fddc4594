"""Reports and retention: the work behind the jobs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from audit.reader import AuditReader
from audit.report.catalogue import make_report
from audit.report.completeness import FLOWS
from audit.report.files import write
from ringfence.clock import Clock
from ringfence.errors import RingfenceError, StoreUnavailable
from ringfence.log import logger
from ringfence.model.event import AuditEvent, EventAction
from ringfence.store.flows import FlowStore
from ringfence.store.state import ReportRecord, Reports, State

PATIENCE = timedelta(hours=1)
"""How long an ordered report waits for a store that is away."""
CLAIM = timedelta(minutes=5)
"""Longer than any step of a report takes; each step extends it. When a worker dies over one, the next takes it up after
that."""
MOST_CLAIMS = 2
"""A report over which as many workers died is not begun again: it would take the next one with it."""
DEADLY = (
    f"it was begun {MOST_CLAIMS} times and the worker ended each time before it was done, perhaps because it ran out "
    "of memory; ask for a shorter time range or a narrower filter"
)
EVERY = timedelta(seconds=1)
"""How far a report is, is written at most this often."""
COMPUTED = 90
"""Percent that are done when a report is computed; its files are the rest."""


class Advance:
    """Keeps in the record how far one report is, at most once in `EVERY`; while the store is away it goes unsaid."""

    def __init__(
        self, reports: Reports, report_id: str, clock: Clock, changed: Callable[[datetime], None] = lambda until: None
    ) -> None:
        """`changed` is told until when the claim on the report holds now."""
        self._changed = changed
        self._reports = reports
        self._id = report_id
        self._clock = clock
        self._told: datetime | None = None

    def computing(self, share: float, step: str) -> None:
        """Take the word of the report itself: the share of the computing that is done, and what comes now.

        That all of it is computed goes unsaid: the files, which are next, are a step of their own.
        """
        if share >= 1.0:
            return
        self.tell(int(share * COMPUTED), step)

    def tell(self, percent: int, step: str) -> None:
        now = self._clock()
        if self._told is not None and timedelta(0) <= now - self._told < EVERY:
            return
        self._told = now
        with contextlib.suppress(StoreUnavailable):
            self._reports.advance(self._id, progress=percent, step=step, until=now + CLAIM)
            self._changed(now + CLAIM)


class Reporting:
    """Implements `ringfence.jobs.Work`."""

    def __init__(
        self,
        *,
        state: State,
        flows: FlowStore,
        audit: AuditReader,
        folder: Path,
        retention: timedelta,
        account: Callable[[AuditEvent], None],
        clock: Clock,
        changed: Callable[[ReportRecord], None] = lambda record: None,
    ) -> None:
        """`changed` is told when a report has come further, and when it ended."""
        self._state = state
        self._flows = flows
        self._audit = audit
        self._folder = folder
        self._retention = retention
        self._account = account
        self._clock = clock
        self._changed = changed
        self._held: dict[str, datetime] = {}  # claims of this worker that it has not ended, and until when they hold
        self._one_at_a_time = threading.Lock()
        self._log = logger("reporting")

    def make_report(self, report_id: str) -> None:
        with self._one_at_a_time:
            self._release_held()
            claims = self._claim(report_id)
            record = self._state.reports.get(report_id) if claims else None
            if record is None:
                return
            if claims > MOST_CLAIMS:
                self._log.error("report given up", report=report_id, claims=claims)
                self._end(replace(record, state="failed", error=DEADLY))
                return
            try:
                extended = partial(self._extended, record)
                advance = Advance(self._state.reports, record.id, self._clock, extended)
                document = make_report(
                    record.kind,
                    record.parameters,
                    self._flows,
                    self._state,
                    self._audit,
                    self._clock,
                    progress=advance.computing,
                )
                advance.tell(COMPUTED, "writing the files")
                files = write(document, self._folder / record.id)
            except StoreUnavailable as error:
                self._later(record, error)
                return
            except RingfenceError as error:
                self._end(replace(record, state="failed", error=str(error)))
                return
            except Exception:
                self._end(replace(record, state="failed", error="an internal error; see the log"))
                raise
            done = replace(record, state="done", title=document.title, digest=document.digest, files=files)
            self._end(replace(done, progress=100, step=""))

    def _claim(self, report_id: str) -> int:
        now = self._clock()
        claims = self._state.reports.claim(report_id, now=now, until=now + CLAIM)
        if claims:
            self._held[report_id] = now + CLAIM
        return claims

    def _extended(self, record: ReportRecord, until: datetime) -> None:
        self._held[record.id] = until
        self._changed(record)

    def _release_held(self) -> None:
        """An outage of the state store may have kept a claim from being ended: no worker died, so it must not count."""
        for report_id in tuple(self._held):
            self._release(report_id)

    def _release(self, report_id: str) -> None:
        self._state.reports.release(report_id, until=self._held[report_id])
        del self._held[report_id]

    def _end(self, record: ReportRecord) -> None:
        self._state.reports.save(record)
        del self._held[record.id]
        self._changed(record)

    def _later(self, record: ReportRecord, error: StoreUnavailable) -> None:
        """The order stands and is tried again from the list of what is pending; not for ever."""
        self._log.warning("report waits for a store", report=record.id, error=str(error))
        if self._clock() - record.created > PATIENCE:
            self._end(replace(record, state="failed", error=str(error)))
        else:
            self._release(record.id)

    def apply_retention(self) -> None:
        before = self._clock() - self._retention
        # Noted first, and where every process reads it: a worker does not own the audit log, and what is deleted
        # without a word looks like something that never was.
        self._state.deletions.note(what=FLOWS, before=before)
        deleted = self._flows.prune(before)
        if deleted:
            detail = {"deleted": deleted, "before": before.isoformat()}
            self._account(
                AuditEvent(
                    at=self._clock(), actor="retention", action=EventAction.RETENTION, target=FLOWS, detail=detail
                )
            )

    def pending_reports(self) -> tuple[str, ...]:
        return tuple(record.id for record in self._state.reports.list(state="running", oldest_first=True))

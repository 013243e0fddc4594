"""Audit records of what the machinery did: never lost silently, never in the way of a quarantine."""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from ringfence import metrics
from ringfence.clock import Clock, utc_now
from ringfence.errors import AuditUnavailable
from ringfence.log import logger
from ringfence.model.event import AuditEvent, AuditRecord, EventAction

WAITING = 10_000
"""Records kept in memory while the log cannot be written."""


class Log(Protocol):
    """Where records go."""

    def append(self, event: AuditEvent) -> AuditRecord: ...


class Accounting:
    """Appends to the audit log; what cannot be written waits and goes first when the log can be written again.

    What found no room meanwhile is said in a record of its own, after those that waited.
    Thread-safe: every loop accounts through the same one.
    """

    def __init__(self, log: Log, clock: Clock = utc_now) -> None:
        self._log = log
        self._clock = clock
        self._waiting: deque[AuditEvent] = deque()
        self._dropped = 0
        self._lock = threading.Lock()
        self._logger = logger("accounting")

    @property
    def waiting(self) -> int:
        """Records that are not on disk yet."""
        return len(self._waiting)

    @property
    def dropped(self) -> int:
        """Records that found no more room while the log could not be written, and are not accounted for yet."""
        return self._dropped

    def account(self, event: AuditEvent) -> None:
        """Record an event of the machinery; does not raise."""
        with self._lock:
            if len(self._waiting) >= WAITING:
                self._dropped += 1
            else:
                self._waiting.append(event)
            self._write()

    def flush(self) -> None:
        """Try to write what waits, oldest first."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        try:
            while self._waiting:
                self._append(self._waiting[0])
                self._waiting.popleft()
            if self._dropped:
                self._append(self._loss())
                self._dropped = 0
        except AuditUnavailable as error:
            if len(self._waiting) in (1, 100, WAITING):
                self._logger.error("audit log cannot be written", waiting=len(self._waiting), error=str(error))

    def _append(self, event: AuditEvent) -> None:
        self._log.append(event)
        metrics.AUDIT_RECORDS.inc()

    def _loss(self) -> AuditEvent:
        return AuditEvent(
            at=self._clock(),
            actor="ringfence",
            action=EventAction.AUDIT_DROPPED,
            target="audit log",
            outcome="failure",
            detail={"events": self._dropped, "reason": f"more than {WAITING} waited while it could not be written"},
        )

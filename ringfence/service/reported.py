"""What the enforcer reports, on its way to the state store: it waits there and never holds up the enforcer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ringfence import metrics
from ringfence.log import logger
from ringfence.model.enforcement import Drift, Enforcement
from ringfence.model.quarantine import Quarantine

WAITING = 10_000
"""Reports kept while the state store is away; then the oldest are dropped."""

Report = Enforcement | Drift | Quarantine


class Reported:
    """A queue: `put` returns at once and does not raise, `step` hands on what waits, in order."""

    def __init__(self, take: Callable[[Report], None], *, waiting: int = WAITING) -> None:
        """`take` keeps one report; what it raises is tried again at the next step."""
        self._take = take
        self._limit = waiting
        self._waiting: deque[Report] = deque()
        self._lock = threading.Lock()
        self._log = logger("reported")
        self.dropped = 0
        """Reports that found no more room."""
        self.wake: Callable[[], None] = lambda: None

    def put(self, report: Report) -> None:
        with self._lock:
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self.dropped += 1
                metrics.REPORTS_DROPPED.inc()
                if self.dropped == 1:
                    self._log.error("reports of the enforcer are dropped", waiting=self._limit)
            self._waiting.append(report)
        self.wake()

    def step(self) -> None:
        """Hand on everything that waits.

        Raises:
            StoreUnavailable: the state store is away; the rest waits.
        """
        while True:
            with self._lock:
                if not self._waiting:
                    return
                report = self._waiting[0]
            self._take(report)
            with self._lock:
                if self._waiting and self._waiting[0] is report:
                    self._waiting.popleft()

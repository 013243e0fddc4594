"""A thread that repeats one step, can be woken early, and survives a step that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ringfence import metrics
from ringfence.log import logger, note_failure

QUIET_AFTER = 3
"""Failures in a row that are logged; later ones only count, until a step succeeds."""

PATIENCE = 120.0
"""Seconds that a step may take, or be overdue, before the loop counts as stalled: longer than any store's timeout."""


class Loop:
    """Repeats `step` every `seconds`; a step that returns True is repeated at once."""

    def __init__(
        self,
        name: str,
        step: Callable[[], bool | None],
        *,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._step = step
        self._seconds = seconds
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._failures = 0
        self._monotonic = monotonic
        self._due: float | None = None
        """When the step in hand began, or the next one should; None while the loop does not run."""
        self._log = logger(name)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def failures(self) -> int:
        """Failures in a row; 0 after a step that succeeded."""
        return self._failures

    @property
    def stalled(self) -> float | None:
        """Seconds that a step is overdue, when these are more than `PATIENCE`; None for a loop that goes on."""
        due = self._due
        late = self._monotonic() - due if due is not None else 0.0
        return late if late > PATIENCE else None

    def start(self) -> None:
        self._due = self._monotonic()
        self._thread.start()

    def wake(self) -> None:
        """Do not wait: there is something to do."""
        self._wake.set()

    def stop(self, timeout: float = 10.0) -> None:
        """End after the step in hand."""
        self._stopping.set()
        self._due = None
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            self._expect(0.0)
            if not self._attempt():
                self._expect(self._pause())
                self._wake.wait(self._pause())

    def _expect(self, seconds: float) -> None:
        if not self._stopping.is_set():
            self._due = self._monotonic() + seconds

    def _attempt(self) -> bool:
        try:
            again = bool(self._step())
        except Exception:  # noqa: BLE001 -- the one place where a loop outlives any error; it is counted and logged
            self._failures += 1
            metrics.LOOP_FAILURES.labels(loop=self.name).inc()
            if self._failures <= QUIET_AFTER:
                note_failure(self._log, "step failed", failures=self._failures)
            return False
        self._failures = 0
        return again

    def _pause(self) -> float:
        return self._seconds if not self._failures else min(30.0, max(self._seconds, 0.2) * 2 ** min(self._failures, 7))

"""A thread that repeats one step, can be woken early, and survives a step that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ringfence import metrics
from ringfence.log import logger

QUIET_AFTER = 3
"""Failures in a row that are logged with their trace; later ones only count, until a step succeeds."""


class Loop:
    """Repeats `step` every `seconds`; a step that returns True is repeated at once."""

    def __init__(self, name: str, step: Callable[[], bool | None], *, seconds: float) -> None:
        self.name = name
        self._step = step
        self._seconds = seconds
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._failures = 0
        self._log = logger(name)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def failures(self) -> int:
        """Failures in a row; 0 after a step that succeeded."""
        return self._failures

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Do not wait: there is something to do."""
        self._wake.set()

    def stop(self, timeout: float = 10.0) -> None:
        """End after the step in hand."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            if not self._attempt():
                self._wake.wait(self._pause())

    def _attempt(self) -> bool:
        try:
            again = bool(self._step())
        except Exception:  # noqa: BLE001 -- the one place where a loop outlives any error; it is counted and logged
            self._failures += 1
            metrics.LOOP_FAILURES.labels(loop=self.name).inc()
            if self._failures <= QUIET_AFTER:
                self._log.exception("step failed", failures=self._failures)
            return False
        self._failures = 0
        return again

    def _pause(self) -> float:
        return self._seconds if not self._failures else min(30.0, max(self._seconds, 0.2) * 2 ** min(self._failures, 7))

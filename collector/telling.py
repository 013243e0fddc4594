"""Telling of changes beside watching: who is told may wait for a store, and what is watched must not."""

from __future__ import annotations

import threading
from collections.abc import Callable

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 30.0


class Telling:
    """Calls `tell` in a thread of its own after each change, and again until it succeeds.

    Changes that come while it is being told are told once, together. After each failure in a row it waits twice as long
    as before, 30 seconds at most. `failed` is called where an exception of `tell` is being handled.
    """

    def __init__(self, tell: Callable[[], None], *, failed: Callable[[], None]) -> None:
        self._tell, self._failed = tell, failed
        self._news, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="tell", daemon=True)

    def changed(self) -> None:
        """There is something to tell; returns at once."""
        self._news.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 15.0) -> None:
        """End it; what was not told is left. One who is being told is waited for, up to `timeout` seconds."""
        self._stopping.set()
        self._news.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        pause = PAUSE_SECONDS
        while self._news.wait() and not self._stopping.is_set():
            self._news.clear()
            try:
                self._tell()
                pause = PAUSE_SECONDS
            except Exception:  # noqa: BLE001 -- it is counted and logged there, and tried again
                self._failed()
                self._news.set()
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

"""What the doctor says of this host, for pages that cannot wait for it.

The host is examined in the background, at most once a minute. Who asks first, or after a long time, waits for the new
answer; whoever asks in between is told what was found before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf
from typing import cast

from ringfence.doctor import Check

FRESH_SECONDS = 60.0
OLD_SECONDS = 300.0
Found = Sequence[Check]


class Examination:
    """Thread-safe; it raises what the last examination raised."""

    def __init__(self, examine: Callable[[], Found], clock: Callable[[], float] = time.monotonic) -> None:
        self._examine, self._clock = examine, clock
        self._doctor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="doctor")
        self._lock = threading.Lock()
        self._began = -inf
        self._known: Future[Found] | None = None
        self._coming: Future[Found] | None = None

    def found(self) -> Found:
        return self._answer().result()

    def _answer(self) -> Future[Found]:
        with self._lock:
            if self._coming is not None and self._coming.done():
                self._known, self._coming = self._coming, None
            age = self._clock() - self._began
            if self._coming is None and age > FRESH_SECONDS:
                self._began = self._clock()
                self._coming = self._doctor.submit(self._examine)
                if age > OLD_SECONDS:
                    self._known = None
            return self._known or cast("Future[Found]", self._coming)

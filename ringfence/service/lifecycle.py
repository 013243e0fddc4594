"""Starting and stopping: parts in order, and all that were started stopped again in reverse, whatever happens."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ringfence.log import logger


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing that runs; `stop` may be called once after a successful `start`."""

    name: str
    start: Callable[[], None] = _nothing
    stop: Callable[[], None] = _nothing


class Lifecycle:
    """Runs parts until it is told to stop by a signal or by `stop`."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._started: list[Part] = []
        self._stop = threading.Event()
        self._log = logger("lifecycle")

    def start(self) -> None:
        """Start every part; if one fails, stop the earlier ones and raise its error."""
        try:
            for part in self._parts:
                part.start()
                self._started.append(part)
        except BaseException:
            self.stop()
            raise

    def wait(self) -> None:
        """Block until SIGTERM, SIGINT or `request_stop`. Call it from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        while not self._stop.wait(0.5):
            pass

    def request_stop(self) -> None:
        self._stop.set()

    def stop(self) -> None:
        """Stop what was started, last first; a part that fails to stop does not keep the others."""
        self._stop.set()
        while self._started:
            part = self._started.pop()
            try:
                part.stop()
            except Exception:  # noqa: BLE001 -- the other parts must be stopped as well
                self._log.exception("part did not stop cleanly", part=part.name)

"""The background thread of the enforcer: waits on the watch, steps, and survives what a step raises."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence

from enforcer.kernel import Watching
from enforcer.netns import Netns
from ringfence.errors import EnforcementFailed
from ringfence.log import logger
from ringfence.metrics import LOOP_FAILURES

STOP_SECONDS = 30.0


class Blind:
    """A watch that sees nothing and reports every namespace each time: iptables is missing, say."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def wait(self, namespaces: Sequence[Netns], seconds: float) -> Mapping[int, float]:
        self._woken.wait(seconds)
        self._woken.clear()
        return {item.inode: seconds for item in namespaces}

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        """Nothing is held."""


class Background:
    """One thread; `start` and `stop` may be called again."""

    def __init__(
        self, step: Callable[[Watching, float], None], *, watch: Callable[[], Watching], seconds: float
    ) -> None:
        """`seconds`: the longest a step waits, and the pause after one that failed."""
        self._step, self._open, self._seconds = step, watch, seconds
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._watching: Watching | None = None
        self._thread: threading.Thread | None = None
        self._log = logger("enforcer")

    def start(self) -> None:
        if self._thread is None:
            self._ending.clear()
            self._thread = threading.Thread(target=self._run, name="enforcer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self.wake()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
            self._thread = None

    def wake(self) -> None:
        """Let the step that waits go on."""
        with self._lock:
            if self._watching is not None:
                self._watching.wake()

    def _run(self) -> None:
        while not self._ending.is_set():
            watching = self._watch()
            try:
                self._step(watching, self._seconds)
            except Exception as error:  # noqa: BLE001 -- the rules must be kept whatever a single step meets
                LOOP_FAILURES.labels(loop="enforcer").inc()
                self._log.error("a step failed", error=f"{type(error).__name__}: {error}")
                self._ending.wait(self._seconds)
        with self._lock:
            if self._watching is not None:
                self._watching.close()
            self._watching = None

    def _watch(self) -> Watching:
        """The kernel's watch; while it cannot be had, one that only waits."""
        with self._lock:
            if self._watching is None or isinstance(self._watching, Blind):
                with contextlib.suppress(EnforcementFailed, OSError):
                    self._watching = self._open()
            if self._watching is None:
                self._watching = Blind()
            return self._watching

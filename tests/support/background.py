"""Work that goes on in a thread while a test does something else."""

from __future__ import annotations

import errno
import threading
from typing import Self

REFUSED = {errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED}
"""Aborted: the socket was destroyed under the program, as a quarantine does."""
UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}


class Background:
    """A thread with an end: `stop()` is idempotent and waits; an unexpected error is raised there."""

    def __init__(self) -> None:
        self._ending = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._guard, daemon=True, name=type(self).__name__)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(10)
        self._close()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _guard(self) -> None:
        try:
            self._work()
        except OSError as error:
            if not self._ending.is_set() and not self._expected(error):
                self._error = error

    def _work(self) -> None:
        raise AssertionError("a background job says what it does")

    def _expected(self, error: OSError) -> bool:
        return False

    def _wake(self) -> None:
        """Make a blocking call return."""

    def _close(self) -> None:
        """Close sockets."""

"""Disk space kept back for records that must not be refused: what automation did on its own."""

from __future__ import annotations

import os
from pathlib import Path

RESERVE_BYTES = 1024 * 1024
NAME = "reserve"


class Reserve:
    """A file that occupies real blocks until it is given up; restored as soon as there is room again."""

    def __init__(self, folder: Path, size: int = RESERVE_BYTES) -> None:
        self._path = folder / NAME
        self._size = size

    @property
    def held(self) -> bool:
        try:
            return self._path.stat().st_size >= self._size
        except OSError:
            return False

    def restore(self) -> bool:
        """Take the space if it is not taken; False when there is not enough."""
        if self.held:
            return True
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._size)
            finally:
                os.close(descriptor)
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> bool:
        """Give the space up; False when there was none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

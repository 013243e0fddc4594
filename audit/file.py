"""One open segment: appends whole lines durably, or takes them back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


class SegmentFile:
    """Opened for appending only, mode 0600. `size` is what this process knows to be in it."""

    def __init__(self, path: Path, sync: Callable[[int], None] = os.fsync) -> None:
        self._path = path
        self._sync = sync
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags, 0o600)
        os.fchmod(self._descriptor, 0o600)
        self.size = os.fstat(self._descriptor).st_size
        self._former = self.size

    def untouched(self) -> bool:
        """Whether the file still is what this process left: same name, same inode, same size."""
        try:
            named = self._path.lstat()
        except OSError:
            return False
        mine = os.fstat(self._descriptor)
        return (named.st_dev, named.st_ino, named.st_size) == (mine.st_dev, mine.st_ino, self.size)

    def append(self, data: bytes) -> None:
        """Write and fsync.

        Raises:
            OSError: it failed, and what was written of it has been taken back as far as the system let us.
        """
        self._former = self.size
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            self._sync(self._descriptor)
        except OSError:
            self.undo()
            raise
        self.size += len(data)

    def undo(self) -> None:
        """Take the last append back. Raises `OSError` when not even that is possible."""
        os.ftruncate(self._descriptor, self._former)
        self.size = self._former
        self._sync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

"""One service per data folder: a lock file that the kernel releases when the process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ringfence.errors import ConfigError, StoreLocked


class DataLock:
    """Makes the data folder (0700) and holds its lock until `release`.

    Raises:
        StoreLocked: another process holds it.
        ConfigError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "ringfence.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"the data folder {folder} cannot be used: {error.strerror}",
                hint="choose another with --set general.data_dir=FOLDER",
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(self._fd, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise StoreLocked(
                f"another Ringfence (process {owner}) uses the data folder {folder}",
                hint="stop it first, or choose another folder with --set general.data_dir=FOLDER",
            ) from error
        os.ftruncate(self._fd, 0)
        os.write(self._fd, str(os.getpid()).encode())

    def release(self) -> None:
        os.close(self._fd)

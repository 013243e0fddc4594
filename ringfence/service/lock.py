"""One service per data folder: a lock file that the kernel releases when the process dies."""

from __future__ import annotations

import os
from pathlib import Path

from ringfence.errors import ConfigError, StoreLocked
from ringfence.lock import Held, take


class DataLock:
    """Makes the data folder (0700) and holds its lock until `release`.

    Raises:
        StoreLocked: another process holds it.
        ConfigError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = take(folder / "ringfence.lock")
        except OSError as error:
            raise ConfigError(
                f"the data folder {folder} cannot be used: {error.strerror}",
                hint="choose another with --set general.data_dir=FOLDER",
            ) from error
        except Held as error:
            raise StoreLocked(
                f"another Ringfence (process {error.owner}) uses the data folder {folder}",
                hint="stop it first, or choose another folder with --set general.data_dir=FOLDER",
            ) from error

    def release(self) -> None:
        os.close(self._descriptor)

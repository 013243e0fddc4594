"""One owner per file: a lock beside it that ends with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TextIO

from ringfence.errors import StoreLocked, StoreUnavailable


def own(path: Path) -> TextIO:
    """Hold a lock on a file beside `path` as long as the returned handle is open.

    Raises:
        StoreLocked: another process, or another store in this one, holds it; the message names the process.
        StoreUnavailable: the folder cannot be written.
    """
    try:
        handle = Path(f"{path}.lock").open("a+", encoding="utf-8")  # noqa: SIM115 -- it stays open
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.seek(0)
        owner = handle.read().strip() or "unknown"
        handle.close()
        raise StoreLocked(
            f"the flow store {path} is in use by process {owner}",
            hint="one process owns a data folder: stop the other one, or choose another general.data_dir",
        ) from None
    try:
        handle.truncate(0)
        os.write(handle.fileno(), str(os.getpid()).encode())
    except OSError as error:
        handle.close()
        raise _unwritable(path, error) from error
    return handle


def _unwritable(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"the folder {path.parent} cannot be written: {error.strerror}")

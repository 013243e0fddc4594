"""Locks that the kernel releases when their process dies: one Ringfence per file, one at the kernel of a host."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ringfence.errors import ConfigError, Conflict

RUN = Path("/run/ringfence")
"""What is true until the next boot. Root's alone: nobody else can hold a lock here to keep Ringfence from starting."""
OWN_NAMESPACE = Path("/proc/self/ns/net")


class Held(Exception):
    """Somebody has the lock; `owner` is the process."""

    def __init__(self, owner: str) -> None:
        super().__init__(f"held by process {owner}")
        self.owner = owner


def take(path: Path) -> int:
    """Lock the file, write our process id into it and return its descriptor; closing that releases the lock.

    Raises:
        Held: another descriptor has the lock.
        OSError: the file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise Held(owner) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


class HostLock:
    """Held by whoever writes rules or settings of connection tracking: two would undo each other's.

    A host is a network namespace, so the file is named by its inode; it goes with the release.

    Raises:
        Conflict: another Ringfence has this host.
        ConfigError: the folder cannot be written.
    """

    def __init__(self, folder: Path = RUN) -> None:
        self._path = folder / f"host-{OWN_NAMESPACE.stat().st_ino}.lock"
        while True:
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._descriptor = take(self._path)
            except OSError as error:
                raise ConfigError(f"{folder} cannot be used: {error.strerror}") from error
            except Held as error:
                raise Conflict(
                    f"another Ringfence (process {error.owner}) runs on this host",
                    hint="stop it first: two would overwrite each other's rules and settings",
                ) from error
            # Between our opening and locking it, its former holder may have removed the file.
            if os.fstat(self._descriptor).st_nlink:
                return
            os.close(self._descriptor)

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self.release()

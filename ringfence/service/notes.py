"""Audit records of commands: written by the command itself, or left for the service that owns the log.

A record that was left is a file with its final name once it is on disk; the service appends it and removes the file. A
service that is killed between the two appends it twice: rather twice than not at all.
"""

from __future__ import annotations

import getpass
import os
import uuid
from collections.abc import Callable
from pathlib import Path

from audit.canonical import GENESIS, read_line, write_line
from audit.log import AuditLog
from audit.segments import sync_folder
from ringfence.clock import utc_now
from ringfence.config import Config
from ringfence.errors import AuditUnavailable, StoreLocked
from ringfence.log import logger
from ringfence.model.event import AuditEvent, EventAction
from ringfence.store.open import private_folder

FOLDER = "notes"
UNFINISHED = ".part"
UNREADABLE = ".unreadable"
ORIGIN = "command line"


class Notes:
    """The records that commands left in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = logger("notes")

    def leave(self, event: AuditEvent) -> None:
        """Put one down, durably.

        Raises:
            AuditUnavailable: it cannot be written.
        """
        line, _ = write_line(1, GENESIS, event)
        path = self._folder / f"{event.at:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}.json"
        part = path.with_suffix(UNFINISHED)
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(line)
                file.flush()
                os.fsync(descriptor)
            part.rename(path)
            sync_folder(self._folder)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise AuditUnavailable(f"the record cannot be left in {self._folder}: {error.strerror}") from error

    def take_up(self, append: Callable[[AuditEvent], object]) -> None:
        """Append what was left, oldest first; while the log cannot be written it stays where it is."""
        for path in sorted(self._folder.glob("*.json")):
            record = read_line(path.read_bytes())
            if record is None:
                self._log.error("a record that was left cannot be read", file=path.name)
                path.rename(path.with_suffix(UNREADABLE))
                continue
            try:
                append(record.event)
            except AuditUnavailable:
                return
            path.unlink()


def notes_of(config: Config) -> Notes:
    """Those of the configured data folder."""
    return Notes(private_folder(private_folder(config.general.data_dir) / FOLDER))


def record(config: Config, action: EventAction, target: str, **detail: object) -> None:
    """Account for what a person does on the command line, before it is done.

    Raises:
        AuditUnavailable: it cannot be recorded, so it must not be done.
    """
    event = AuditEvent(at=utc_now(), actor=_person(), action=action, target=target, origin=ORIGIN, detail=detail)
    notes = notes_of(config)
    try:
        with AuditLog(config.general.data_dir / "audit", utc_now) as log:
            notes.take_up(log.append)
            log.append(event)
    except StoreLocked:
        notes.leave(event)


def _person() -> str:
    """Who sits at the keyboard: with sudo, the user before it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in a container; from Python 3.13 on an OSError
        return f"uid {os.getuid()}"

"""The audit log: hash-chained JSON lines, on disk before `append` returns, one writer at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from audit import checkpoint as checkpoints
from audit.canonical import GENESIS, read_line, write_line
from audit.checkpoint import Checkpoint, write_checkpoint
from audit.file import SegmentFile
from audit.reader import AuditHead, AuditReader
from audit.recovery import find_end
from audit.reserve import RESERVE_BYTES, Reserve
from audit.segments import segment_path, sync_folder
from audit.verify import LOCK_NAME, Verification, verify
from ringfence.clock import Clock
from ringfence.errors import AuditUnavailable, StoreLocked
from ringfence.model.event import AuditEvent, AuditRecord, EventAction

__all__ = ["AuditLog", "Verification", "verify"]

SEGMENT_BYTES = 16 * 1024 * 1024
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})

AUTOMATED = frozenset(
    {
        EventAction.QUARANTINE_ORDERED,
        EventAction.QUARANTINE_STATE,
        EventAction.QUARANTINE_RELEASED,
        EventAction.RESPONSE_TRIGGERED,
        EventAction.RESPONSE_WITHHELD,
        EventAction.AUDIT_RECOVERED,
    }
)
"""May use the reserve, when no person ordered them (`origin` is empty)."""


class AuditLog(AuditReader):
    """Appends to the log in `folder` and answers questions about it. Safe to use from several threads.

    Raises (from the constructor):
        StoreLocked: another process writes this log.
        AuditUnavailable: the folder cannot be made, read or written.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        super().__init__(folder)
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._sync = sync
        self._mutex = threading.Lock()
        self._reserve = Reserve(folder, reserve_bytes)
        self._records, self._hash = 0, GENESIS
        self._file: SegmentFile | None = None
        self._notes: list[AuditEvent] = []
        self._open = True
        self._lock: int | None = _prepare(folder)
        try:
            self._recover()
            if not (folder / checkpoints.NAME).exists():
                self._mark()
            self._write_notes()
        except (OSError, AuditUnavailable) as error:
            self.close()
            raise AuditUnavailable(f"the audit log in {folder} cannot be opened: {_words(error)}") from error

    def append(self, event: AuditEvent) -> AuditRecord:
        """Write one record; it is on disk when this returns.

        Raises:
            AuditUnavailable: it could not be made durable, and nothing of it was kept.
        """
        with self._mutex:
            if not self._open:
                raise AuditUnavailable("the audit log is closed")
            try:
                if self._file is None or not self._file.untouched():
                    self._recover()
                self._write_notes()
                return self._write(event)
            except OSError as error:
                self._forget_file()
                raise AuditUnavailable(f"the audit log cannot be written: {_words(error)}") from error

    def head(self) -> AuditHead:
        with self._mutex:
            return AuditHead(records=self._records, hash=self._hash)

    def close(self) -> None:
        """Let another process write; appending afterwards is refused."""
        with self._mutex:
            self._open = False
            self._forget_file()
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recover(self) -> None:
        """Find the end of the log anew; what was met becomes an event before anything else is written."""
        self._forget_file()
        try:
            end = find_end(self.folder, self._sync)
        except OSError as error:
            if error.errno not in NO_SPACE or not self._reserve.release():
                raise
            end = find_end(self.folder, self._sync)
        self._records, self._hash = end.records, end.head
        path = end.segment.path if end.segment else segment_path(self.folder, end.records + 1)
        self._file = SegmentFile(path, self._sync)
        sync_folder(self.folder)
        self._notes += [self._note(note) for note in end.notes]

    def _note(self, detail: dict[str, object]) -> AuditEvent:
        return AuditEvent(
            at=self._clock(),
            actor="audit log",
            action=EventAction.AUDIT_RECOVERED,
            target=self.folder.name,
            outcome="failure" if "kept" in detail or "lines" in detail else "success",
            detail=detail,
        )

    def _write_notes(self) -> None:
        while self._notes:
            self._write(self._notes[0])
            del self._notes[0]

    def _write(self, event: AuditEvent) -> AuditRecord:
        automated = event.action in AUTOMATED and not event.origin
        if not automated and not self._reserve.restore():
            raise AuditUnavailable(
                "the disk is full: what is left is kept for records of automated quarantine",
                hint=f"free some space under {self.folder}",
            )
        try:
            return self._commit(event)
        except OSError as error:
            if not (automated and error.errno in NO_SPACE and self._reserve.release()):
                raise
            return self._commit(event)

    def _commit(self, event: AuditEvent) -> AuditRecord:
        """Line, fsync, checkpoint; undone as a whole when one of them fails."""
        sequence = self._records + 1
        line, digest = write_line(sequence, self._hash, event)
        file = self._rotated(len(line) + 1, sequence)
        file.append(line + b"\n")
        try:
            self._mark(sequence, digest)
        except OSError:
            file.undo()
            raise
        self._records, self._hash = sequence, digest
        record = read_line(line)
        if record is None:
            raise AuditUnavailable("the record cannot be read back")
        return record

    def _rotated(self, size: int, sequence: int) -> SegmentFile:
        if self._file is None:
            raise AuditUnavailable("the audit log is closed")
        if self._file.size and self._file.size + size > self._segment_bytes:
            fresh = SegmentFile(segment_path(self.folder, sequence), self._sync)
            self._forget_file()
            self._file = fresh
            sync_folder(self.folder)
        return self._file

    def _mark(self, records: int | None = None, head: str | None = None) -> None:
        point = Checkpoint(
            records=self._records if records is None else records, head=head or self._hash, at=self._clock()
        )
        write_checkpoint(self.folder / checkpoints.NAME, point, self._sync)

    def _forget_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _prepare(folder: Path) -> int:
    """Make the folder, private to its owner, and take the lock of the one writer."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise AuditUnavailable(f"the audit log in {folder} cannot be opened: {_words(error)}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreLocked(
            f"another process writes the audit log in {folder}", hint="stop it, or give this one its own data folder"
        ) from error
    return descriptor


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)

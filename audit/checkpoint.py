"""The checkpoint: how long the log is and what its last record hashes to, so that a shorter log is noticed.

A hash chain alone cannot tell a log whose end was cut off, or an older copy put back, from one that is just shorter.
The checkpoint in the log's folder finds the first; a copy of it kept elsewhere finds both.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from audit.canonical import canonical

NAME = "checkpoint.json"
LOST_PATTERN = "checkpoint-*.lost.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """`records` were in the log at `at`; `head` is the hash of the last of them."""

    records: int
    head: str
    at: datetime

    def content(self) -> dict[str, Any]:
        return {"at": self.at.isoformat(), "head": self.head, "records": self.records}


class CheckpointInvalid(ValueError):
    """The file is missing, unreadable or was changed; the text says which."""


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """One line of canonical JSON with its own SHA-256, so that a changed byte is not believed."""
    content = checkpoint.content()
    return canonical(content | {"sha256": hashlib.sha256(canonical(content)).hexdigest()}) + b"\n"


def parse_checkpoint(data: bytes) -> Checkpoint:
    """The inverse of `checkpoint_bytes`.

    Raises:
        CheckpointInvalid: it is not byte for byte what `checkpoint_bytes` writes.
    """
    try:
        fields = json.loads(data)
        found = Checkpoint(
            records=int(fields["records"]), head=str(fields["head"]), at=datetime.fromisoformat(fields["at"])
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointInvalid("the checkpoint cannot be read") from error
    if found.records < 0 or checkpoint_bytes(found) != data:
        raise CheckpointInvalid("the checkpoint was changed: it does not have the hash it states")
    return found


def read_checkpoint(path: Path) -> Checkpoint:
    """Raises `CheckpointInvalid` for a missing, unreadable or changed file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointInvalid("there is no checkpoint") from error
    except OSError as error:
        raise CheckpointInvalid(f"the checkpoint cannot be read: {error.strerror}") from error
    return parse_checkpoint(data)


def write_checkpoint(path: Path, checkpoint: Checkpoint, sync: Callable[[int], None] = os.fsync) -> None:
    """Replace the file in one step: after a crash it is this one or the former one, and both are true of the log.

    Raises:
        OSError: it could not be written; the former file is still there.
    """
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write_whole(descriptor, checkpoint_bytes(checkpoint))
        sync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)


def _write_whole(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]

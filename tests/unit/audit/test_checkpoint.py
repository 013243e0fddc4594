from __future__ import annotations

from pathlib import Path

import pytest

from audit.checkpoint import (
    Checkpoint,
    CheckpointInvalid,
    checkpoint_bytes,
    parse_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from tests.support.audit_events import NOON, unsynced

POINT = Checkpoint(records=12, head="ab" * 32, at=NOON)


def test_a_checkpoint_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    write_checkpoint(path, POINT, unsynced)
    assert read_checkpoint(path) == POINT
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["checkpoint.json"]


def test_every_changed_byte_is_noticed() -> None:
    data = checkpoint_bytes(POINT)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(CheckpointInvalid):
            parse_checkpoint(bytes(changed))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"records": -1, "head": "", "at": "x"}'])
def test_what_is_no_checkpoint_is_refused(data: bytes) -> None:
    with pytest.raises(CheckpointInvalid):
        parse_checkpoint(data)


def test_a_missing_file_is_named_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="there is no checkpoint"):
        read_checkpoint(tmp_path / "absent")


def test_a_failing_disk_keeps_the_former_checkpoint(tmp_path: Path) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(5, "input/output error")

    path = tmp_path / "checkpoint.json"
    write_checkpoint(path, POINT, unsynced)
    with pytest.raises(OSError, match="input/output"):
        write_checkpoint(path, Checkpoint(records=13, head="cd" * 32, at=NOON), fails)
    assert read_checkpoint(path) == POINT

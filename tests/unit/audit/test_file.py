from __future__ import annotations

import os
from pathlib import Path

import pytest

from audit.file import SegmentFile
from tests.support.audit_events import unsynced


def test_lines_are_appended_and_synced(tmp_path: Path) -> None:
    synced: list[int] = []
    file = SegmentFile(tmp_path / "s", synced.append)
    file.append(b"one\n")
    file.append(b"two\n")
    assert (tmp_path / "s").read_bytes() == b"one\ntwo\n"
    assert len(synced) == 2
    assert file.size == 8
    file.close()


def test_a_failed_sync_takes_the_line_back(tmp_path: Path) -> None:
    failing = [False]

    def sync(descriptor: int) -> None:
        if failing[0]:
            failing[0] = False
            raise OSError(5, "input/output error")

    file = SegmentFile(tmp_path / "s", sync)
    file.append(b"one\n")
    failing[0] = True
    with pytest.raises(OSError, match="input/output"):
        file.append(b"two\n")
    assert (tmp_path / "s").read_bytes() == b"one\n"
    file.append(b"three\n")
    assert (tmp_path / "s").read_bytes() == b"one\nthree\n"
    file.close()


def test_the_file_is_private_even_if_it_was_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(b"old\n")
    path.chmod(0o644)
    file = SegmentFile(path, unsynced)
    assert path.stat().st_mode & 0o777 == 0o600
    assert file.size == 4
    file.close()


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "s").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        SegmentFile(tmp_path / "s", unsynced)


def test_foreign_hands_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    file = SegmentFile(path, unsynced)
    file.append(b"one\n")
    assert file.untouched()
    with path.open("ab") as other:
        other.write(b"x")
    assert not file.untouched()
    os.truncate(path, 4)
    assert file.untouched()
    path.unlink()
    assert not file.untouched()
    path.write_bytes(b"one\n")
    assert not file.untouched()
    file.close()

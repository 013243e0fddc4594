"""One enforcing Ringfence per host, however many folders it is started on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ringfence.errors import Conflict
from ringfence.lock import Held, HostLock, take


def test_a_second_one_on_this_host_is_refused_and_told_who_was_first(tmp_path: Path) -> None:
    with HostLock(tmp_path), pytest.raises(Conflict, match=f"process {os.getpid()}"):
        HostLock(tmp_path)


def test_a_released_host_can_be_taken_again_and_no_file_is_left(tmp_path: Path) -> None:
    for _ in range(2):
        with HostLock(tmp_path / "run"):
            assert len(list((tmp_path / "run").iterdir())) == 1
        assert list((tmp_path / "run").iterdir()) == []


def test_the_lock_of_a_process_that_died_is_taken_over(tmp_path: Path) -> None:
    os.close(take(tmp_path / "file"))
    os.close(take(tmp_path / "file"))


def test_the_owner_is_named(tmp_path: Path) -> None:
    held = take(tmp_path / "file")
    with pytest.raises(Held) as caught:
        take(tmp_path / "file")
    assert caught.value.owner == str(os.getpid())
    os.close(held)


def test_only_root_can_hold_it(tmp_path: Path) -> None:
    with HostLock(tmp_path / "run"):
        assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700

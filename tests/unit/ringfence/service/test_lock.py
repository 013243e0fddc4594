"""One service per data folder."""

import os
from pathlib import Path

import pytest

from ringfence.errors import ConfigError, StoreLocked
from ringfence.service.lock import DataLock


def test_a_second_instance_is_refused_and_told_who_has_the_folder(tmp_path: Path) -> None:
    DataLock(tmp_path / "data")
    with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        DataLock(tmp_path / "data")


def test_a_released_folder_can_be_taken_again(tmp_path: Path) -> None:
    DataLock(tmp_path).release()
    DataLock(tmp_path).release()
    assert (tmp_path / "ringfence.lock").read_text() == str(os.getpid())


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        DataLock(tmp_path / "file" / "data")


def test_a_new_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    DataLock(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ringfence.errors import StoreLocked, StoreUnavailable
from ringfence.store.ownership import own


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    with own(tmp_path / "x"), pytest.raises(StoreLocked, match=f"process {os.getpid()}") as caught:
        own(tmp_path / "x")
    assert "general.data_dir" in caught.value.hint


def test_the_file_is_free_once_the_handle_is_closed(tmp_path: Path) -> None:
    own(tmp_path / "x").close()
    own(tmp_path / "x").close()


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        own(tmp_path / "none" / "x")


def test_a_full_disk_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "x.lock").symlink_to("/dev/full")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        own(tmp_path / "x")

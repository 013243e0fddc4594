from __future__ import annotations

from pathlib import Path

from audit.reserve import Reserve


def test_the_reserve_occupies_real_blocks(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, 64 * 1024)
    assert not reserve.held
    assert reserve.restore()
    assert reserve.held
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 64 * 1024
    assert (tmp_path / "reserve").stat().st_mode & 0o777 == 0o600


def test_it_is_given_up_once(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, 4096)
    assert reserve.restore()
    assert reserve.release()
    assert not reserve.held
    assert not reserve.release()


def test_a_folder_that_cannot_hold_it_gives_no_reserve(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "absent", 4096)
    assert not reserve.restore()
    assert not reserve.held

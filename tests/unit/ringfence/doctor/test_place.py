from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ringfence.config import Config
from ringfence.doctor.check import CheckState
from ringfence.doctor.place import data_folder, disk, free_bytes, packages, place, port, python


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert data_folder(tmp_path).state is CheckState.OK
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert "can be made" in data_folder(tmp_path / "a" / "b").detail
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert data_folder(tmp_path / "file").state is CheckState.FAIL
    assert data_folder(tmp_path / "file" / "deeper").state is CheckState.FAIL


def test_a_folder_open_to_all_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    found = data_folder(tmp_path)
    assert found.state is CheckState.WARN and "chmod 0750" in found.hint


def test_a_folder_that_cannot_be_written_is_a_failure() -> None:
    found = data_folder(Path("/proc/self"))
    assert found.state is CheckState.FAIL and found.hint


@pytest.mark.parametrize(
    ("free", "state"),
    [(0, CheckState.FAIL), (500 << 20, CheckState.WARN), (5 << 30, CheckState.OK), (None, CheckState.UNKNOWN)],
)
def test_room_on_the_disk(free: int | None, state: CheckState) -> None:
    assert disk(Path("/x"), free).state is state


def test_the_disk_of_a_folder_to_be_is_that_of_its_parent(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") == pytest.approx(free_bytes(tmp_path), rel=0.1)


def test_a_port_is_free_taken_or_impossible() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        assert port("127.0.0.1", taken).detail == f"this process listens on 127.0.0.1:{taken}"
    assert port("127.0.0.1", taken).state is CheckState.OK
    assert port("192.0.2.1", 8844).state is CheckState.FAIL
    assert port("127.0.0.1", 70_000).state is CheckState.FAIL
    assert port("::1", 0).state in (CheckState.OK, CheckState.FAIL)


def test_python_is_new_enough_to_run_this_test() -> None:
    assert python().state is CheckState.OK


def test_packages_are_compared_with_what_is_asked_for() -> None:
    assert packages(["pytest>=1", "no-such-extra>=1; extra == 'x'"]).state is CheckState.OK
    found = packages(["pytest>=9999", "no-such-package-here>=1", "psycopg[binary]>=999,<1000"])
    assert found.state is CheckState.FAIL
    assert "pytest" in found.detail and "older than 9999" in found.detail
    assert "no-such-package-here is missing" in found.detail
    assert "psycopg" in found.detail


def test_every_part_of_the_place_is_looked_at() -> None:
    assert [check.name for check in place(Config())] == ["data folder", "disk", "port", "python", "packages"]

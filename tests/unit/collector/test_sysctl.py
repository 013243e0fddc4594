"""Settings are made, read back, and every failure is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector import sysctl
from collector.sysctl import SETTINGS, Readiness
from ringfence.errors import RingfenceError

OWN = {Path("/proc/self/ns/net").stat().st_ino: "/proc/self/ns/net"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "settings"
    made.mkdir()
    for name in SETTINGS:
        (made / name).write_text("0\n")
    return made


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "memory"


def test_all_three_are_set_and_read_back(folder: Path, memory: Path) -> None:
    assert sysctl.prepare(None, folder=folder, memory=memory) == Readiness(
        accounting=True, timestamps=True, events=True
    )
    assert {name: (folder / name).read_text() for name in SETTINGS} == dict.fromkeys(SETTINGS, "1\n")


def test_reading_changes_nothing(folder: Path) -> None:
    (folder / "nf_conntrack_acct").write_text("1\n")
    assert sysctl.read(None, folder=folder) == Readiness(accounting=True, timestamps=False, events=False)
    assert (folder / "nf_conntrack_events").read_text() == "0\n"


def test_what_cannot_be_set_is_named(folder: Path, memory: Path) -> None:
    (folder / "nf_conntrack_timestamp").unlink()
    (folder / "nf_conntrack_timestamp").mkdir()
    found = sysctl.prepare(None, folder=folder, memory=memory)
    assert (found.accounting, found.timestamps, found.events, found.ready) == (True, False, True, False)
    assert found.problems == (
        "nf_conntrack_timestamp could not be set to 1: Is a directory",
        "nf_conntrack_timestamp could not be read: Is a directory",
    )


def test_the_automatic_mode_is_not_enough(folder: Path, memory: Path) -> None:
    sysctl.prepare(None, folder=folder, memory=memory)
    (folder / "nf_conntrack_events").write_text("2\n")
    assert not sysctl.read(None, folder=folder).ready


def values(folder: Path) -> list[str]:
    return [(folder / name).read_text().strip() for name in SETTINGS]


def test_what_was_there_is_remembered_once_for_this_namespace(folder: Path, memory: Path) -> None:
    (folder / "nf_conntrack_events").write_text("2\n")
    (folder / "nf_conntrack_timestamp").write_text("1\n")
    for _ in range(2):
        sysctl.prepare(None, folder=folder, memory=memory)
    (file,) = memory.iterdir()
    assert file.name == str(next(iter(OWN)))
    assert json.loads(file.read_text()) == {"nf_conntrack_acct": "0", "nf_conntrack_events": "2"}


def test_a_setting_that_somebody_changed_since_is_remembered_anew(folder: Path, memory: Path) -> None:
    sysctl.prepare(None, folder=folder, memory=memory)
    (folder / "nf_conntrack_events").write_text("2\n")
    sysctl.prepare(None, folder=folder, memory=memory)
    (file,) = memory.iterdir()
    assert json.loads(file.read_text())["nf_conntrack_events"] == "2"


def test_nothing_is_remembered_where_nothing_changes(folder: Path, memory: Path) -> None:
    for name in SETTINGS:
        (folder / name).write_text("1\n")
    sysctl.prepare(None, folder=folder, memory=memory)
    assert not memory.exists()


def test_a_namespace_nobody_prepared_is_not_entered(folder: Path, memory: Path) -> None:
    assert sysctl.restore({1: "/nowhere"}, folder=folder, memory=memory) == 0


def test_one_that_cannot_be_restored_keeps_none_of_the_others_and_is_named(folder: Path, memory: Path) -> None:
    memory.mkdir()
    for name in ("1", "2", "3"):
        (memory / name).write_text("{}")
    loop = folder / "loop"
    loop.symlink_to(loop)
    with pytest.raises(RingfenceError, match=r"namespace 1: .*namespace 3: ") as caught:
        sysctl.restore({1: str(loop), 2: "/gone", 3: str(loop)}, folder=folder, memory=memory)
    assert "namespace 2" not in str(caught.value)


def test_a_torn_record_is_no_record(folder: Path, memory: Path) -> None:
    memory.mkdir()
    (memory / str(next(iter(OWN)))).write_text("{")
    assert sysctl.prepare(None, folder=folder, memory=memory).ready


def test_only_what_has_ended_is_forgotten(memory: Path) -> None:
    memory.mkdir()
    for name in ("11", "12"):
        (memory / name).write_text("{}")
    sysctl.forget({12}, memory=memory)
    assert [item.name for item in memory.iterdir()] == ["12"]
    sysctl.forget((), memory=memory)
    assert not memory.exists()

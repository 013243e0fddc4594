"""Settings are made, read back, and every failure is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector import sysctl
from collector.sysctl import SETTINGS, Readiness


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in SETTINGS:
        (tmp_path / name).write_text("0\n")
    return tmp_path


def test_all_three_are_set_and_read_back(folder: Path) -> None:
    assert sysctl.prepare(None, folder=folder) == Readiness(accounting=True, timestamps=True, events=True)
    assert {name: (folder / name).read_text() for name in SETTINGS} == dict.fromkeys(SETTINGS, "1\n")


def test_reading_changes_nothing(folder: Path) -> None:
    (folder / "nf_conntrack_acct").write_text("1\n")
    assert sysctl.read(None, folder=folder) == Readiness(accounting=True, timestamps=False, events=False)
    assert (folder / "nf_conntrack_events").read_text() == "0\n"


def test_what_cannot_be_set_is_named(folder: Path) -> None:
    (folder / "nf_conntrack_timestamp").unlink()
    (folder / "nf_conntrack_timestamp").mkdir()
    found = sysctl.prepare(None, folder=folder)
    assert (found.accounting, found.timestamps, found.events, found.ready) == (True, False, True, False)
    assert found.problems == (
        "nf_conntrack_timestamp could not be set to 1: Is a directory",
        "nf_conntrack_timestamp could not be read: Is a directory",
    )


def test_the_automatic_mode_is_not_enough(folder: Path) -> None:
    sysctl.prepare(None, folder=folder)
    (folder / "nf_conntrack_events").write_text("2\n")
    assert not sysctl.read(None, folder=folder).ready

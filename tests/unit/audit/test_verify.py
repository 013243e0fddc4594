from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from audit.canonical import GENESIS
from audit.segments import list_segments
from audit.verify import being_written, verify
from tests.support.audit_events import NOON, event, open_log, small_log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight records in at least three segments."""
    made = small_log(tmp_path / "audit", 8, segment_bytes=900)
    assert len(list_segments(made)) >= 3
    return made


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_a_sound_log_is_intact_with_its_extent(folder: Path) -> None:
    found = verify(folder)
    assert found.ok and found.problem is None
    assert found.records == 8
    assert found.first is not None and (found.first - NOON).total_seconds() == 1
    assert found.last is not None and (found.last - NOON).total_seconds() == 8


def test_an_empty_log_is_intact_and_an_absent_one_is_not(tmp_path: Path) -> None:
    found = verify(small_log(tmp_path / "audit", 0))
    assert found.ok and found.records == 0 and found.head == GENESIS
    absent = verify(tmp_path / "absent")
    assert not absent.ok and absent.absent and "there is no audit log" in (absent.problem or "")
    assert not found.absent


def test_any_one_changed_byte_anywhere_is_found(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 3, segment_bytes=500)
    for path in [*(segment.path for segment in list_segments(folder)), folder / "checkpoint.json"]:
        data = path.read_bytes()
        for position in range(len(data)):
            for change in (1, 0x2A):
                changed = bytearray(data)
                changed[position] ^= change
                path.write_bytes(bytes(changed))
                assert not verify(folder).ok, f"{path.name} byte {position} ^ {change:#x}"
        path.write_bytes(data)
    assert verify(folder).ok


def test_any_one_missing_or_added_byte_is_found(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 2)
    path = list_segments(folder)[0].path
    data = path.read_bytes()
    for position in range(len(data)):
        path.write_bytes(data[:position] + data[position + 1 :])
        assert not verify(folder).ok, f"byte {position} removed"
        path.write_bytes(data[:position] + b"\n" + data[position:])
        assert not verify(folder).ok, f"newline before byte {position}"


def test_a_deleted_line_is_named(folder: Path) -> None:
    for segment in list_segments(folder):
        whole = segment.path.read_bytes()
        lines = lines_of(segment.path)
        for index in range(len(lines)):
            segment.path.write_bytes(b"".join(lines[:index] + lines[index + 1 :]))
            found = verify(folder)
            assert not found.ok and found.problem
        segment.path.write_bytes(whole)
    assert verify(folder).ok


def test_reordered_and_duplicated_lines_are_found(folder: Path) -> None:
    segment = list_segments(folder)[1]
    first, second, *rest = lines_of(segment.path)
    segment.path.write_bytes(b"".join([second, first, *rest]))
    assert f"line 1 of {segment.path.name}" in (verify(folder).problem or "")
    segment.path.write_bytes(b"".join([first, first, second, *rest]))
    assert "out of its place" in (verify(folder).problem or "")


def test_swapped_segments_are_found(folder: Path) -> None:
    first, second = (segment.path for segment in list_segments(folder)[:2])
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert not verify(folder).ok


def test_a_missing_segment_is_named(folder: Path) -> None:
    segments = list_segments(folder)
    kept = segments[1].path.read_bytes()
    segments[1].path.unlink()
    assert "missing" in (verify(folder).problem or "")
    segments[1].path.write_bytes(kept)
    segments[0].path.unlink()
    assert "missing" in (verify(folder).problem or "")


def test_a_cut_off_end_is_found_by_the_checkpoint(folder: Path) -> None:
    last = list_segments(folder)[-1].path
    last.write_bytes(b"".join(lines_of(last)[:-1]))
    found = verify(folder)
    assert found.records == 7
    assert "ends after record 7" in (found.problem or "")
    last.unlink()
    assert not verify(folder).ok


def test_an_emptied_log_is_found(folder: Path) -> None:
    for segment in list_segments(folder):
        segment.path.unlink()
    assert "ends after record 0" in (verify(folder).problem or "")


def test_without_its_checkpoint_a_log_is_not_called_intact(folder: Path) -> None:
    (folder / "checkpoint.json").unlink()
    assert "a missing end would not be noticed" in (verify(folder).problem or "")


def test_an_older_copy_put_back_is_found_by_a_checkpoint_kept_elsewhere(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 5)
    shutil.copytree(folder, tmp_path / "backup")
    small_log(folder, 3)
    shutil.copy(folder / "checkpoint.json", tmp_path / "elsewhere.json")
    assert verify(folder, tmp_path / "elsewhere.json").ok
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "backup", folder)
    assert verify(folder).ok
    assert "an older copy was put back" in (verify(folder, tmp_path / "elsewhere.json").problem or "")


@pytest.mark.parametrize("forgeries", [5, 7], ids=["to the same record", "and continued"])
def test_a_rewritten_history_is_found_by_a_checkpoint_kept_elsewhere(tmp_path: Path, forgeries: int) -> None:
    folder = small_log(tmp_path / "audit", 5)
    with open_log(tmp_path / "forged") as forged:
        for number in range(1, 1 + forgeries):
            forged.append(event(number, actor="nobody"))
    assert verify(tmp_path / "forged").ok
    kept = folder / "checkpoint.json"
    assert f"record 5 is not the one that {kept} names" in (verify(tmp_path / "forged", kept).problem or "")


def test_a_checkpoint_that_cannot_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    assert "there is no checkpoint" in (verify(folder, tmp_path / "absent.json").problem or "")


def test_an_older_checkpoint_kept_elsewhere_still_fits_a_longer_log(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 2)
    shutil.copy(folder / "checkpoint.json", tmp_path / "elsewhere.json")
    small_log(folder, 2)
    assert verify(folder, tmp_path / "elsewhere.json").ok


def test_a_line_being_written_is_no_problem_but_a_torn_one_left_behind_is(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    with open_log(folder) as log:
        log.append(event(1))
        with list_segments(folder)[0].path.open("ab") as file:
            file.write(b'{"event":{"act')
        assert being_written(folder)
        assert verify(folder).ok
    assert not being_written(folder)
    assert "is not complete" in (verify(folder).problem or "")


def test_a_torn_line_in_a_middle_segment_is_never_excused(folder: Path) -> None:
    middle = list_segments(folder)[0].path
    middle.write_bytes(middle.read_bytes()[:-1])
    with open_log(folder):
        assert "is not complete" in (verify(folder).problem or "")


def test_an_empty_segment_at_the_end_is_what_a_crash_leaves(folder: Path) -> None:
    (folder / "audit-000000000009.jsonl").write_bytes(b"")
    assert verify(folder).ok
    (folder / "audit-000000000010.jsonl").write_bytes(b"")
    assert not verify(folder).ok


def test_a_lost_checkpoint_stays_a_problem_until_a_person_takes_it_away(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 5)
    last = list_segments(folder)[-1].path
    last.write_bytes(b"".join(lines_of(last)[:-2]))
    small_log(folder, 4)
    found = verify(folder)
    assert "the log once had other or more records" in (found.problem or "")
    next(folder.glob("*.lost.json")).unlink()
    assert verify(folder).ok

from __future__ import annotations

from pathlib import Path

from audit.canonical import GENESIS
from audit.recovery import find_end
from audit.segments import list_segments
from tests.support.audit_events import small_log, unsynced


def test_an_empty_folder_ends_at_the_beginning(tmp_path: Path) -> None:
    end = find_end(tmp_path, unsynced)
    assert (end.records, end.head, end.segment, end.notes) == (0, GENESIS, None, ())


def test_a_sound_log_gives_its_end_and_no_notes(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 9, segment_bytes=900)
    end = find_end(folder, unsynced)
    assert end.records == 9
    assert end.segment == list_segments(folder)[-1]
    assert end.notes == ()


def test_a_torn_line_goes_to_a_file_of_its_own_even_a_second_time(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 3)
    path = list_segments(folder)[-1].path
    whole = path.read_bytes()
    for number, torn in enumerate((b'{"event":', b"\x00" * 200_000), start=1):
        path.write_bytes(whole + torn)
        end = find_end(folder, unsynced)
        assert path.read_bytes() == whole
        assert path.with_name(f"{path.name}.{number}.torn").read_bytes() == torn
        assert end.records == 3
        assert end.notes[0]["bytes"] == len(torn)


def test_a_complete_record_without_its_newline_was_never_acknowledged(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 3)
    path = list_segments(folder)[-1].path
    longer = small_log(tmp_path / "longer", 4)
    path.write_bytes(list_segments(longer)[-1].path.read_bytes()[:-1])
    end = find_end(folder, unsynced)
    assert end.records == 3
    assert len(end.notes) == 1


def test_a_log_one_record_ahead_of_its_checkpoint_is_what_a_crash_leaves(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 3)
    checkpoint = (folder / "checkpoint.json").read_bytes()
    small_log(folder, 1)
    (folder / "checkpoint.json").write_bytes(checkpoint)
    end = find_end(folder, unsynced)
    assert end.records == 4
    assert end.notes == ()


def test_a_checkpoint_the_log_does_not_live_up_to_is_kept(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 5)
    before = (folder / "checkpoint.json").read_bytes()
    path = list_segments(folder)[-1].path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    end = find_end(folder, unsynced)
    assert end.records == 3
    assert end.notes[0]["what"] == "records are missing at the end"
    assert (folder / str(end.notes[0]["kept"])).read_bytes() == before
    assert not (folder / "checkpoint.json").exists()


def test_a_checkpoint_of_another_history_is_kept(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 2)
    other = small_log(tmp_path / "other", 1)
    (folder / "checkpoint.json").write_bytes(
        (other / "checkpoint.json").read_bytes().replace(b'"records":1', b'"records":1')
    )
    path = list_segments(folder)[-1].path
    path.write_bytes(path.read_bytes().replace(b"thing 1", b"thing 9"))
    end = find_end(folder, unsynced)
    assert end.notes[0]["what"] == "the record the checkpoint names was changed"


def test_an_unreadable_checkpoint_is_kept_and_noted(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 2)
    (folder / "checkpoint.json").write_bytes(b"")
    end = find_end(folder, unsynced)
    assert end.records == 2
    assert "cannot be read" in str(end.notes[0]["what"])
    assert (folder / str(end.notes[0]["kept"])).exists()


def test_damaged_lines_at_the_end_are_counted_and_left(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 2)
    path = list_segments(folder)[-1].path
    with path.open("ab") as file:
        file.write(b"garbage\n\n")
    end = find_end(folder, unsynced)
    assert end.records == 2
    assert end.notes[0]["lines"] == 2
    assert path.read_bytes().endswith(b"garbage\n\n")


def test_a_write_cut_at_any_byte_leaves_a_log_that_goes_on(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 2)
    path = list_segments(folder)[-1].path
    checkpoint = (folder / "checkpoint.json").read_bytes()
    before = path.read_bytes()
    small_log(folder, 1)
    after = path.read_bytes()
    for cut in range(len(before), len(after)):
        for leftover in folder.glob("*.torn"):
            leftover.unlink()
        path.write_bytes(after[:cut])
        (folder / "checkpoint.json").write_bytes(checkpoint)
        end = find_end(folder, unsynced)
        assert end.records == 2
        assert path.read_bytes() == before
        assert sum(torn.stat().st_size for torn in folder.glob("*.torn")) == cut - len(before)

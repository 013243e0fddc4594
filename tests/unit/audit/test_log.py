from __future__ import annotations

import errno
import json
import threading
from pathlib import Path

import pytest

from audit.canonical import GENESIS
from audit.log import AuditLog
from audit.reader import AuditReader
from audit.segments import list_segments
from ringfence.errors import AuditUnavailable, StoreLocked
from ringfence.model.event import EventAction
from tests.support.audit_events import automated, event, fixed, open_log, small_log


def test_each_record_names_the_one_before(tmp_path: Path) -> None:
    with open_log(tmp_path / "audit") as log:
        first, second = log.append(event(1)), log.append(event(2))
        assert (first.sequence, first.previous) == (1, GENESIS)
        assert (second.sequence, second.previous) == (2, first.hash)
        assert (log.head().records, log.head().hash) == (2, second.hash)


def test_what_append_returns_is_what_is_read_back(tmp_path: Path) -> None:
    with open_log(tmp_path / "audit") as log:
        written = log.append(event(1, detail={"password": "hunter2", "when": fixed()}))
        assert list(log.records()) == [written]
        assert "hunter2" not in list_segments(log.folder)[0].path.read_text()


def test_the_chain_goes_on_over_segments_and_restarts(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 6, segment_bytes=700)
    small_log(folder, 6, segment_bytes=700)
    assert len(list_segments(folder)) >= 4
    found = AuditReader(folder).verify()
    assert found.ok and found.records == 12


def test_every_line_is_json_of_its_own(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 0)
    with open_log(folder) as log:
        log.append(event(1, actor="a\r\nb", target='{"sequence":9}\n\x1b[31m\u2028'))
    lines = list_segments(folder)[0].path.read_bytes().split(b"\n")
    assert len(lines) == 2
    assert json.loads(lines[0])["event"]["actor"] == "a\r\nb"


def test_folder_and_files_are_private(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "deep" / "audit", 2)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_second_writer_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    first = open_log(tmp_path / "audit")
    with pytest.raises(StoreLocked):
        open_log(tmp_path / "audit")
    first.append(event(1))
    first.close()
    open_log(tmp_path / "audit").close()


def test_a_closed_log_refuses(tmp_path: Path) -> None:
    log = open_log(tmp_path / "audit")
    log.close()
    log.close()
    with pytest.raises(AuditUnavailable):
        log.append(event(1))


def test_threads_do_not_break_the_chain(tmp_path: Path) -> None:
    with open_log(tmp_path / "audit", segment_bytes=4000) as log:
        threads = [
            threading.Thread(target=lambda: [log.append(event(number)) for number in range(50)]) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = log.verify()
        assert found.ok and found.records == 300


def test_a_torn_line_becomes_an_event(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 3)
    with list_segments(folder)[-1].path.open("ab") as file:
        file.write(b'{"event":{"action":"log')
    with open_log(folder) as log:
        newest = next(log.records(newest_first=True))
        assert newest.event.action is EventAction.AUDIT_RECOVERED
        assert newest.event.outcome == "success"
        assert newest.event.detail["bytes"] == 23
        assert log.verify().ok
    assert len(list(folder.glob("*.torn"))) == 1


def test_a_shortened_log_is_written_on_but_never_called_intact(tmp_path: Path) -> None:
    folder = small_log(tmp_path / "audit", 5)
    path = list_segments(folder)[-1].path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    with open_log(folder) as log:
        newest = next(log.records(newest_first=True))
        assert newest.event.outcome == "failure"
        assert newest.event.detail["records_at_checkpoint"] == 5
        log.append(event(9))
        assert not log.verify().ok


def test_a_line_that_somebody_else_wrote_meanwhile_is_set_aside(tmp_path: Path) -> None:
    with open_log(tmp_path / "audit") as log:
        log.append(event(1))
        with list_segments(log.folder)[0].path.open("ab") as file:
            file.write(b"foreign")
        log.append(event(2))
        assert [record.event.action for record in log.records()] == [
            EventAction.LOGIN,
            EventAction.AUDIT_RECOVERED,
            EventAction.LOGIN,
        ]
        assert log.verify().ok


def test_a_log_deleted_under_a_running_writer_is_noticed(tmp_path: Path) -> None:
    with open_log(tmp_path / "audit") as log:
        for number in range(3):
            log.append(event(number))
        list_segments(log.folder)[0].path.unlink()
        log.append(event(4))
        assert next(log.records()).event.detail["what"] == "records are missing at the end"
        assert not log.verify().ok


class FailingDisk:
    """fsync that fails when told to, `after` so many calls."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.after = 0

    def __call__(self, descriptor: int) -> None:
        if self.code is not None:
            if self.after == 0:
                raise OSError(self.code, "told to fail")
            self.after -= 1


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_a_record_that_is_not_durable_is_not_there(tmp_path: Path, after: int, code: int) -> None:
    disk = FailingDisk()
    log = open_log(tmp_path / "audit", sync=disk)
    log.append(event(1))
    disk.code, disk.after = code, after
    with pytest.raises(AuditUnavailable):
        log.append(event(2))
    disk.code = None
    assert log.append(event(3)).sequence == 2
    assert [record.event.target for record in log.records()] == ["thing 1", "thing 3"]
    assert log.verify().ok
    log.close()


def test_without_a_reserve_only_automation_may_write(tmp_path: Path) -> None:
    with open_log(tmp_path / "audit", reserve_bytes=1 << 62) as log:
        with pytest.raises(AuditUnavailable, match="disk is full"):
            log.append(event(1))
        with pytest.raises(AuditUnavailable, match="disk is full"):
            log.append(event(2, EventAction.QUARANTINE_ORDERED))
        assert log.append(automated()).sequence == 1


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AuditUnavailable, match="cannot be opened"):
        AuditLog(tmp_path / "file" / "audit", fixed)

"""What commands do is in the audit log, also when a running service owns it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from audit.log import AuditLog
from ringfence.config import Config, load
from ringfence.errors import AuditUnavailable
from ringfence.model.event import AuditEvent, EventAction
from ringfence.service.notes import Notes, notes_of, record

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _config(folder: Path) -> Config:
    return load(environment={}, flags={"general.data_dir": str(folder)})


def _event(target: str, second: int = 0) -> AuditEvent:
    return AuditEvent(at=NOW.replace(second=second), actor="ada", action=EventAction.IMPORT, target=target)


def _targets(folder: Path) -> list[str]:
    with AuditLog(folder / "audit", lambda: NOW) as log:
        return [item.event.target for item in reversed(log.page().records)]


def test_alone_a_command_writes_the_log_itself(tmp_path: Path) -> None:
    record(_config(tmp_path), EventAction.API_TOKEN_CREATED, "ada", days=3)
    with AuditLog(tmp_path / "audit", lambda: NOW) as log:
        event = log.page().records[0].event
    assert (event.action, event.target, event.origin, event.detail["days"]) == (
        EventAction.API_TOKEN_CREATED,
        "ada",
        "command line",
        3,
    )
    assert event.actor


def test_beside_a_service_the_record_is_left_and_taken_up(tmp_path: Path) -> None:
    config = _config(tmp_path)
    with AuditLog(tmp_path / "audit", lambda: NOW) as log:
        record(config, EventAction.IMPORT, "a.pcap")
        assert log.head().records == 0
        notes_of(config).take_up(log.append)
        notes_of(config).take_up(log.append)
    assert _targets(tmp_path) == ["a.pcap"]


def test_what_was_left_goes_before_what_comes_later(tmp_path: Path) -> None:
    config = _config(tmp_path)
    notes_of(config).leave(_event("second", 2))
    notes_of(config).leave(_event("first", 1))
    record(config, EventAction.IMPORT, "third")
    assert _targets(tmp_path) == ["first", "second", "third"]


def test_while_the_log_cannot_be_written_nothing_is_lost(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    notes.leave(_event("a"))

    def full(event: AuditEvent) -> None:
        raise AuditUnavailable("the disk is full")

    notes.take_up(full)
    kept: list[AuditEvent] = []
    notes.take_up(kept.append)
    assert [item.target for item in kept] == ["a"]


def test_a_torn_record_does_not_hold_up_the_others(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    (tmp_path / "0.json").write_text("{")
    notes.leave(_event("a"))
    kept: list[AuditEvent] = []
    notes.take_up(kept.append)
    assert [item.target for item in kept] == ["a"]
    assert [item.name for item in tmp_path.iterdir()] == ["0.unreadable"]


def test_what_cannot_be_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditUnavailable, match="cannot be left"):
        Notes(tmp_path / "gone").leave(_event("a"))

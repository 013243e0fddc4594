"""`audit verify`: whether the log is what was written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner, Result

from audit.log import AuditLog
from ringfence.cli import main
from ringfence.model.event import AuditEvent, EventAction

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _run(data: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--set", f"general.data_dir={data}", *words])


def _log(folder: Path) -> None:
    with AuditLog(folder, lambda: NOW) as log:
        for number in range(3):
            log.append(AuditEvent(at=NOW, actor="ada", action=EventAction.LOGIN, target=f"{number}"))


def test_an_untouched_log_is_intact(tmp_path: Path) -> None:
    _log(tmp_path / "audit")
    done = _run(tmp_path, "audit", "verify")
    assert (done.exit_code, done.stdout) == (0, "intact: 3 records\n")


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    _log(tmp_path / "audit")
    segment = next((tmp_path / "audit").glob("*.jsonl"))
    segment.write_bytes(segment.read_bytes().replace(b'"ada"', b'"eve"', 1))
    done = _run(tmp_path, "audit", "verify", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["ok"] is False


def test_without_a_log_nothing_is_claimed(tmp_path: Path) -> None:
    done = _run(tmp_path, "audit", "verify")
    assert done.exit_code == 1
    assert "there is no audit log" in done.stdout

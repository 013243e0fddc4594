"""`host retire`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from audit.log import AuditLog
from ringfence.cli import main
from ringfence.clock import utc_now
from ringfence.store.database.opening import open_state
from ringfence.store.state import HostStatus


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose host `old` was heard two minutes ago, and `h1` now."""
    state = open_state(tmp_path / "state.db")
    for host, ago in (("old", 120), ("h1", 0)):
        state.hosts.report(HostStatus(host=host, at=utc_now() - timedelta(seconds=ago), facts={}))
    state.close()
    return tmp_path


def _retire(data: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--set", f"general.data_dir={data}", "host", "retire", *words])


def _retired(data: Path) -> dict[str, str]:
    state = open_state(data / "state.db")
    found = {item.host: item.retired_reason for item in state.hosts.list() if item.retired}
    state.close()
    return found


def test_a_host_is_retired_with_its_reason_on_record(data: Path) -> None:
    assert _retire(data, "old", "--reason", "scrapped").stdout == "old is out of service\n"
    assert _retired(data) == {"old": "scrapped"}
    with AuditLog(data / "audit", utc_now) as log:
        (record,) = log.page().records
    event = record.event
    assert (event.action, event.target, event.detail["reason"]) == ("host retired", "old", "scrapped")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("other", "--reason", "x"), "no host 'other' has ever reported"),
        (("h1", "--reason", "x"), "host 'h1' still reports"),
    ],
    ids=["unknown", "alive"],
)
def test_what_makes_no_sense_is_refused(data: Path, words: tuple[str, ...], said: str) -> None:
    done = _retire(data, *words)
    assert done.exit_code == 1 and said in done.stderr
    assert _retired(data) == {}


def test_without_a_reason_or_a_record_nothing_is_retired(data: Path) -> None:
    assert _retire(data, "old").exit_code == 2
    (data / "audit").write_text("no folder")
    done = _retire(data, "old", "--reason", "scrapped")
    assert done.exit_code == 1 and "the audit log" in done.stderr
    assert _retired(data) == {}

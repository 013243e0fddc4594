"""The processes refuse what they cannot do before anything is opened."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ringfence.cli import main

FLOWS, STATE = "store.flows=https://127.0.0.1:1", "store.state=postgresql+psycopg://127.0.0.1:1/x"


def _run(data: Path, *words: str, settings: tuple[str, ...] = ()) -> Result:
    pairs = [part for item in (f"general.data_dir={data}", *settings) for part in ("--set", item)]
    return CliRunner().invoke(main, [*pairs, *words])


@pytest.mark.parametrize("command", ["agent", "server"])
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ((), "store.flows and store.state are embedded"),
        ((FLOWS,), "store.state is embedded"),
        ((STATE,), "store.flows is embedded"),
    ],
    ids=["neither", "flows only", "state only"],
)
def test_parts_of_a_fleet_need_its_stores(tmp_path: Path, command: str, settings: tuple[str, ...], named: str) -> None:
    done = _run(tmp_path / "data", command, settings=settings)
    assert done.exit_code == 1
    assert named in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["worker", "up"])
def test_what_works_through_a_broker_needs_the_stores_of_a_fleet(tmp_path: Path, command: str) -> None:
    done = _run(tmp_path / "data", command, settings=("jobs.broker=redis://127.0.0.1:1/0",))
    assert done.exit_code == 1
    assert "store.flows and store.state are embedded" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("command", "settings"), [("worker", ()), ("beat", ()), ("server", (FLOWS, STATE))])
def test_a_fleets_jobs_need_a_broker(tmp_path: Path, command: str, settings: tuple[str, ...]) -> None:
    done = _run(tmp_path / "data", command, settings=settings)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "jobs.broker is in memory" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_port_out_of_range_is_refused(tmp_path: Path) -> None:
    done = _run(tmp_path / "data", "up", "--port", "0")
    assert done.exit_code == 2
    assert not (tmp_path / "data").exists()

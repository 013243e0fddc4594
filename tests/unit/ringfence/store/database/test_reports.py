from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from ringfence.store.database.opening import open_state
from ringfence.store.state import ReportRecord


def test_a_report_may_carry_read_only_mappings_and_an_error() -> None:
    state = open_state("sqlite://")
    report = ReportRecord(
        id="r", kind="policy", title="t", created=datetime(2026, 1, 1, tzinfo=UTC), author="a",
        parameters=MappingProxyType({"window": "1d"}), digest="", files=MappingProxyType({}), state="running",
    )  # fmt: skip
    state.reports.save(report)
    state.reports.save(replace(report, state="failed", error="disk full"))
    found = state.reports.get("r")
    assert found is not None
    assert (found.state, found.error, found.parameters) == ("failed", "disk full", {"window": "1d"})
    state.close()


def test_a_claim_is_one_workers_until_it_ends_or_is_released() -> None:
    state = open_state("sqlite://")
    now, later = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=UTC)
    report = ReportRecord(
        id="r", kind="flow", title="t", created=now, author="a", parameters={}, digest="", files={}, state="running"
    )
    state.reports.save(report)
    assert state.reports.claim("r", now=now, until=later)
    state.reports.save(report)
    assert not state.reports.claim("r", now=now, until=later), "saving leaves a claim as it is"
    assert state.reports.claim("r", now=later, until=later)
    state.reports.release("r")
    assert state.reports.claim("r", now=now, until=later)
    state.reports.release("r")
    state.reports.save(replace(report, state="done"))
    assert not state.reports.claim("r", now=later, until=later)
    assert not state.reports.claim("unknown", now=now, until=later)
    state.close()


def test_only_a_running_report_advances() -> None:
    state = open_state("sqlite://")
    report = ReportRecord(
        id="r", kind="flow", title="t", created=datetime(2026, 1, 1, tzinfo=UTC), author="a", parameters={}, digest="",
        files={}, state="running",
    )  # fmt: skip
    state.reports.save(report)
    state.reports.advance("r", progress=40, step="edges")
    assert state.reports.get("r") == replace(report, progress=40, step="edges")
    done = replace(report, state="done", progress=100)
    state.reports.save(done)
    state.reports.advance("r", progress=50, step="a worker that came too late")
    state.reports.advance("unknown", progress=50, step="")
    assert state.reports.get("r") == done
    state.close()

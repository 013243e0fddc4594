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

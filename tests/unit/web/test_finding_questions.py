"""The filter bar over findings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ringfence.model.finding import Finding, FindingKind, FindingState, Severity
from tests.support.estate import NOW
from tests.support.site import Site
from web.bar import read_bar, suggestions
from web.finding_questions import FINDINGS, about, every, select
from web.window import preset_window

DRIFT = Finding(
    id="drift",
    key="drift/db",
    kind=FindingKind.DRIFT,
    severity=Severity.HIGH,
    sentence="Rules of db were changed",
    workload="id-db",
    workload_name="db",
    first_seen=NOW - timedelta(hours=2),
    last_seen=NOW - timedelta(hours=2),
)
SCAN = replace(
    DRIFT,
    id="scan",
    key="scan",
    kind=FindingKind.POLICY_VIOLATION,
    severity=Severity.MEDIUM,
    sentence="coupon may not reach db",
    workload="id-coupon",
    workload_name="coupon",
    peer="id-db",
    peer_name="db",
    rule="application/egress/default",
    staged=True,
    count=24,
    state=FindingState.ACKNOWLEDGED,
    last_seen=NOW,
)
DAY = preset_window("24h", ZoneInfo("UTC"), NOW)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", ["drift", "scan"]),
        ("severity: high", ["drift"]),
        ("severity: HIGH", ["drift"]),
        ("not severity: high", ["scan"]),
        ('kind: "policy violation" and state: acknowledged', ["scan"]),
        ("workload: db", ["drift", "scan"]),
        ("src.name: db", ["drift"]),
        ("dst_name: d* or staged: true", ["scan"]),
        ("count > 5", ["scan"]),
        ("rule: application/*", ["scan"]),
        ("response: *", []),
        ("coupon", ["scan"]),
    ],
)
def test_a_filter_selects_findings(text: str, ids: list[str]) -> None:
    bar = read_bar(text, vocabulary=FINDINGS)
    assert bar.valid, bar.error
    found = select([DRIFT, SCAN], DAY, bar)
    assert [item.id for item in found.findings] == ids
    assert found.unfiltered == 2 - len(ids)


def test_a_field_of_flows_alone_is_refused_with_what_there_is() -> None:
    bar = read_bar("severty: high and dst_port: 5", vocabulary=FINDINGS)
    assert "did you mean severity" in bar.error
    assert read_bar("dst_port: 5", vocabulary=FINDINGS).offset == 0
    assert not read_bar("severity: high").valid


def test_names_and_values_are_suggested() -> None:
    assert ("severity: ", "info, low, medium, high or critical.") in suggestions("sev", FINDINGS)
    assert [text for text, _ in suggestions("severity: h", FINDINGS)] == ["severity: high"]
    assert [text for text, _ in suggestions('kind: "pol', FINDINGS)] == ['kind: "policy violation"']


def test_what_was_not_seen_in_the_window_is_counted() -> None:
    found = select([DRIFT, SCAN], preset_window("1h", ZoneInfo("UTC"), NOW), read_bar("", vocabulary=FINDINGS))
    assert [item.id for item in found.findings] == ["scan"]
    assert found.outside == (DRIFT,)


def test_every_finding_is_read_batch_after_batch(site: Site) -> None:
    for number in range(7):
        made = replace(DRIFT, id=f"f{number}", key=f"k{number}", last_seen=NOW - timedelta(minutes=number))
        site.state.findings.record(made)
    assert [item.id for item in every(site.state.findings, batch=3)] == [f"f{number}" for number in range(7)]
    after = DRIFT.severity, NOW - timedelta(minutes=4), "f4"
    assert [item.id for item in every(site.state.findings, after=after, batch=1)] == ["f5", "f6"]


def test_about_a_workload_is_what_is_not_resolved_at_either_end(site: Site) -> None:
    over = replace(SCAN, id="over", key="over", state=FindingState.RESOLVED)
    for item in (DRIFT, SCAN, over):
        site.state.findings.record(item)
    assert [item.id for item in about(site.state.findings, "id-db")] == ["drift", "scan"]
    assert [item.id for item in about(site.state.findings, "id-coupon")] == ["scan"]
    assert about(site.state.findings, "id-web") == ()


class AskedFindings:
    """Findings that note which state they are asked for."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.states: set[FindingState | None] = set()

    def list(self, *, state: FindingState | None = None, **options: Any) -> Any:
        self.states.add(state)
        return self.inner.list(state=state, **options)


def test_about_a_workload_no_resolved_finding_is_read_and_the_order_is_the_stores(site: Site) -> None:
    low = replace(SCAN, id="low", key="low", severity=Severity.LOW, state=FindingState.OPEN)
    old = replace(SCAN, id="old", key="old", last_seen=NOW - timedelta(hours=1), state=FindingState.SUPPRESSED)
    for item in (low, old, SCAN, DRIFT):
        site.state.findings.record(item)
    asked: Any = AskedFindings(site.state.findings)
    assert [item.id for item in about(asked, "id-db")] == ["drift", "scan", "old", "low"]
    assert asked.states == set(FindingState) - {FindingState.RESOLVED}

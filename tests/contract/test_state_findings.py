"""Findings over SQLite and a real PostgreSQL: merged by key, whoever records them, and whenever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringfence.errors import Conflict, NotFound
from ringfence.model.finding import Finding, FindingKind, FindingState, Severity
from ringfence.store.state import State
from tests.support.states import Open, at_once

NOW = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def finding(id_: str = "f1", key: str = "k", **values: Any) -> Finding:
    return Finding(
        **{
            "id": id_,
            "key": key,
            "kind": FindingKind.POLICY_VIOLATION,
            "severity": Severity.MEDIUM,
            "sentence": "web may not reach db",
            "flows": (f"flow-{id_}",),
            "first_seen": NOW,
            "last_seen": NOW,
            **values,
        }
    )


def test_a_finding_comes_back_whole(state: State) -> None:
    saved = finding(
        workload="w", workload_name="web", peer="p", peer_name="db", rule="t/p/ingress/0", staged=True,
        technique="T1046", count=2, suppressed_until=NOW, response="r", state=FindingState.ACKNOWLEDGED,
    )  # fmt: skip
    assert state.findings.record(saved) == (saved, True)
    assert state.findings.get("f1") == saved
    assert state.findings.get("f2") is None


def test_a_repetition_is_merged(state: State) -> None:
    state.findings.record(finding("f1", count=2, last_seen=NOW + SECOND))
    later = finding("f2", count=3, first_seen=NOW - SECOND, last_seen=NOW, severity=Severity.HIGH, sentence="new")
    merged, new = state.findings.record(later)
    assert not new
    assert (merged.id, merged.count, merged.severity, merged.sentence) == ("f1", 5, Severity.HIGH, "new")
    assert (merged.first_seen, merged.last_seen) == (NOW - SECOND, NOW + SECOND)
    assert merged.flows == ("flow-f1", "flow-f2")
    assert state.findings.list() == (merged,)


def test_evidence_is_the_first_twenty_flows(state: State) -> None:
    for number in range(30):
        merged, _ = state.findings.record(finding(f"f{number}"))
    assert merged.flows == tuple(f"flow-f{number}" for number in range(20))
    assert state.findings.get("f0") == merged


def test_nothing_recorded_at_once_is_lost(open_another: Open) -> None:
    states = [open_another() for _ in range(4)]

    def record(number: int) -> int:
        return sum(states[number].findings.record(finding(f"{number}-{turn}", count=2))[1] for turn in range(10))

    assert sum(at_once(4, record)) == 1
    (only,) = states[0].findings.list()
    assert only.count == 80


def test_after_it_was_resolved_a_finding_is_new_again(state: State) -> None:
    state.findings.record(finding("f1"))
    state.findings.update(finding("f1", state=FindingState.RESOLVED))
    recorded, new = state.findings.record(finding("f2"))
    assert (recorded.id, new) == ("f2", True)
    again, reopened = state.findings.record(finding("f2"))
    assert (again.count, reopened) == (2, False)


def test_a_resolved_finding_of_the_same_id_is_opened_again(state: State) -> None:
    state.findings.record(finding("f1"))
    state.findings.update(finding("f1", state=FindingState.RESOLVED))
    recorded, new = state.findings.record(finding("f1"))
    assert (recorded.state, recorded.count, new) == (FindingState.OPEN, 2, True)


@pytest.mark.parametrize(("later", "expected"), [(10, FindingState.SUPPRESSED), (30, FindingState.OPEN)])
def test_a_suppressed_finding_stays_quiet_until_its_time(state: State, later: int, expected: FindingState) -> None:
    state.findings.record(finding("f1"))
    until = NOW + 20 * SECOND
    state.findings.update(finding("f1", state=FindingState.SUPPRESSED, suppressed_until=until))
    merged, new = state.findings.record(finding("f2", last_seen=NOW + later * SECOND))
    assert (merged.state, merged.count, new) == (expected, 2, False)


def test_an_update_keeps_what_was_observed_meanwhile(state: State) -> None:
    seen, _ = state.findings.record(finding("f1"))
    state.findings.record(finding("f2", last_seen=NOW + SECOND))
    state.findings.update(replace(seen, state=FindingState.ACKNOWLEDGED, response="ticket"))
    stored = state.findings.get("f1")
    assert stored is not None
    assert (stored.state, stored.response, stored.count) == (FindingState.ACKNOWLEDGED, "ticket", 2)
    assert stored.last_seen == NOW + SECOND


def test_an_update_of_nothing_says_so(state: State) -> None:
    with pytest.raises(NotFound):
        state.findings.update(finding())


def test_a_resolved_finding_cannot_be_opened_beside_its_successor(state: State) -> None:
    state.findings.record(finding("f1"))
    state.findings.update(finding("f1", state=FindingState.RESOLVED))
    state.findings.record(finding("f2"))
    with pytest.raises(Conflict):
        state.findings.update(finding("f1"))


def test_findings_are_ordered_by_severity_then_time(state: State) -> None:
    given = [
        finding("low", key="1", severity=Severity.LOW, last_seen=NOW + 9 * SECOND),
        finding("old", key="2", severity=Severity.CRITICAL),
        finding("new", key="3", severity=Severity.CRITICAL, last_seen=NOW + SECOND),
        finding("done", key="4", severity=Severity.INFO, state=FindingState.RESOLVED),
    ]
    for item in given:
        state.findings.record(item)
    assert [item.id for item in state.findings.list()] == ["new", "old", "low", "done"]
    rows = state.findings.list()
    for index, item in enumerate(rows):
        assert state.findings.list(after=(item.severity, item.last_seen, item.id)) == rows[index + 1 :]
    assert [item.id for item in state.findings.list(state=FindingState.RESOLVED)] == ["done"]
    assert state.findings.counts() == {"info": 0, "low": 1, "medium": 0, "high": 0, "critical": 2}

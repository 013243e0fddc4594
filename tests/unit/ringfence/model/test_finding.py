from __future__ import annotations

from datetime import UTC, datetime

from ringfence.model.finding import Finding, FindingKind, FindingState, Severity

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_new_finding_is_open_and_was_seen_once() -> None:
    finding = Finding(
        id="f", key="k", kind=FindingKind.DETECTION, severity=Severity.LOW, sentence="s", first_seen=NOW, last_seen=NOW
    )
    assert (finding.state, finding.count, finding.staged) == (FindingState.OPEN, 1, False)


def test_severities_are_declared_from_mild_to_grave() -> None:
    assert [severity.value for severity in Severity] == ["info", "low", "medium", "high", "critical"]

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ringfence.model.finding import Finding, FindingKind, FindingState, Severity
from ringfence.store.database.findings import MAX_FLOWS, RANKS
from ringfence.store.database.opening import open_state

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def finding(id_: str, **values: object) -> Finding:
    given = {"kind": FindingKind.DRIFT, "severity": Severity.LOW, "sentence": "s", "first_seen": NOW, "last_seen": NOW}
    return Finding(**{"id": id_, "key": "k", **given, **values})  # type: ignore[arg-type]


def test_graver_is_ranked_higher() -> None:
    assert RANKS[Severity.CRITICAL] > RANKS[Severity.HIGH] > RANKS[Severity.INFO]


@pytest.mark.parametrize("state", [FindingState.OPEN, FindingState.ACKNOWLEDGED, FindingState.SUPPRESSED])
def test_a_finding_takes_repetitions_in_until_it_is_resolved(state: FindingState) -> None:
    store = open_state("sqlite://")
    store.findings.record(finding("a", state=state, flows=tuple(map(str, range(MAX_FLOWS + 5)))))
    merged, new = store.findings.record(finding("b", flows=("late",)))
    assert (merged.id, merged.state, merged.count, new) == ("a", state, 2, False)
    assert merged.flows == tuple(map(str, range(MAX_FLOWS)))
    store.close()

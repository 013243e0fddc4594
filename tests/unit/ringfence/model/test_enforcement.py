from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ringfence.model.enforcement import Drift, Enforcement, EnforcementState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_drift_was_open_from_its_discovery_to_its_repair() -> None:
    drift = Drift(workload="w", found=NOW, repaired=NOW + timedelta(milliseconds=1500), what="chain gone")
    assert drift.open_seconds == 1.5


def test_nothing_is_verified_that_was_not_seen() -> None:
    enforcement = Enforcement(workload="w", host="h", state=EnforcementState.IN_FORCE, digest="d", since=NOW)
    assert enforcement.verified is None
    assert enforcement.checks == ()

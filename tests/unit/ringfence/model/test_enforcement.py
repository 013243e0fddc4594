from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringfence.model.enforcement import Drift, Enforcement, EnforcementState, Rollout

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_drift_was_open_from_its_discovery_to_its_repair() -> None:
    drift = Drift(workload="w", found=NOW, repaired=NOW + timedelta(milliseconds=1500), what="chain gone")
    assert drift.open_seconds == 1.5


def test_nothing_is_verified_that_was_not_seen() -> None:
    enforcement = Enforcement(workload="w", host="h", state=EnforcementState.IN_FORCE, digest="d", since=NOW)
    assert enforcement.verified is None
    assert enforcement.checks == ()


def test_a_rollout_travels_as_plain_figures() -> None:
    rollout = Rollout(revision=7, workloads=12, states={EnforcementState.FAILED: 1, EnforcementState.IN_FORCE: 10})
    assert list(rollout.facts().items()) == [("revision", 7), ("workloads", 12), ("in force", 10), ("failed", 1)]
    assert Rollout.of_facts(rollout.facts()) == rollout


@pytest.mark.parametrize("facts", [None, 7, {}, {"revision": 7}, {"revision": "7", "workloads": 1}], ids=str)
def test_what_is_no_rollout_is_not_read_as_one(facts: Any) -> None:
    assert Rollout.of_facts(facts) is None

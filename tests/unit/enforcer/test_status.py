"""What is news about a workload."""

from __future__ import annotations

from datetime import timedelta

import pytest

from enforcer.netns import Netns
from enforcer.status import REFRESH, Statuses, containment_checks
from ringfence.model.enforcement import EnforcementState
from ringfence.model.workload import SHARES_HOST, Containment
from tests.support.rulesets import START, workload

SECOND = timedelta(seconds=1)


def test_a_first_status_is_news_and_the_same_again_is_not() -> None:
    statuses = Statuses("h")
    assert statuses.note("w", EnforcementState.IN_FORCE, at=START) is not None
    assert statuses.note("w", EnforcementState.IN_FORCE, at=START + SECOND) is None
    assert statuses.all()[0].verified == START + SECOND


def test_an_unchanged_status_is_told_again_before_it_looks_old() -> None:
    statuses = Statuses("h")
    statuses.note("w", EnforcementState.IN_FORCE, at=START)
    assert statuses.note("w", EnforcementState.IN_FORCE, at=START + REFRESH) is not None


def test_drifts_are_counted_since_the_ruleset_came_into_force() -> None:
    statuses = Statuses("h")
    statuses.note("w", EnforcementState.IN_FORCE, at=START, digest="a")
    drifted = statuses.note("w", EnforcementState.IN_FORCE, at=START + SECOND, digest="a", drifted=True)
    assert drifted is not None
    assert (drifted.drifts, drifted.last_drift, drifted.since) == (1, START + SECOND, START)
    changed = statuses.note("w", EnforcementState.IN_FORCE, at=START + 2 * SECOND, digest="b")
    assert changed is not None
    assert (changed.drifts, changed.since) == (0, START + 2 * SECOND)


def test_a_failure_keeps_the_time_it_was_last_seen_to_hold() -> None:
    statuses = Statuses("h")
    statuses.note("w", EnforcementState.IN_FORCE, at=START)
    failed = statuses.note("w", EnforcementState.FAILED, at=START + SECOND, reason="no")
    assert failed is not None
    assert failed.verified == START


def test_who_is_gone_is_forgotten() -> None:
    statuses = Statuses("h")
    statuses.note("w", EnforcementState.IN_FORCE, at=START)
    statuses.keep_only([])
    assert statuses.all() == ()


SOCKET = "it holds /run/docker.sock, so it can start containers without any limit"


@pytest.mark.parametrize(
    ("containment", "reason", "failed"),
    [
        (Containment.NAMESPACE, "", ""),
        (Containment.CGROUP, SHARES_HOST, ""),
        (Containment.NAMESPACE, SOCKET, "no way round it"),
        (Containment.CGROUP, f"{SHARES_HOST}; {SOCKET}", "no way round it"),
        (Containment.HOST_SIDE, "it has CAP_NET_ADMIN", "cannot be undone from inside"),
        (Containment.NOT_CONTAINABLE, "it is privileged", "cannot be undone from inside"),
    ],
)
def test_what_a_quarantine_cannot_hold_is_a_failed_check(containment: Containment, reason: str, failed: str) -> None:
    target = workload(Netns(inode=1, path="/a"), containment=containment, containment_reason=reason)
    checks = containment_checks(target)
    assert [item.name for item in checks if not item.passed] == ([failed] if failed else [])
    assert all(item.detail for item in checks)

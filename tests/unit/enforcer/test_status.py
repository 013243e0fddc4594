"""What is news about a workload."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from enforcer.netns import Netns
from enforcer.owners import Occupied
from enforcer.status import REFRESH, Statuses, containment_checks, state_of
from ringfence.model.enforcement import EnforcementState
from ringfence.model.ruleset import Ruleset
from ringfence.model.workload import SHARES_HOST, Containment, WorkloadKind
from tests.support.rulesets import START, ruleset, workload

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


@pytest.mark.parametrize(
    ("wanted", "containment", "state"),
    [
        (ruleset(), Containment.CGROUP, EnforcementState.IN_FORCE),
        (None, Containment.CGROUP, EnforcementState.OFF),
        (replace(ruleset(), problem="too large"), Containment.CGROUP, EnforcementState.FAILED),
        (replace(ruleset(), problem="too large"), Containment.NOT_CONTAINABLE, EnforcementState.NOT_CONTAINABLE),
    ],
)
def test_what_holds_for_the_namespace_is_said_of_a_member_whose_own_rules_are_there(
    wanted: Ruleset | None, containment: Containment, state: EnforcementState
) -> None:
    netns = Netns(inode=1, path="/a", shared=True)
    member = workload(netns, containment=containment)
    found = state_of(member, Occupied(netns=netns, members=(member,)), EnforcementState.IN_FORCE, "", wanted)
    assert found[0] is state
    assert state is not EnforcementState.FAILED or found[1] == "too large"


def test_a_host_has_no_rules_of_its_own_that_could_fail() -> None:
    netns = Netns(inode=1, path="/a", shared=True)
    host = workload(netns, kind=WorkloadKind.HOST)
    found = state_of(host, Occupied(netns=netns, members=(host,)), EnforcementState.FAILED, "nft rules", None)
    assert found[0] is EnforcementState.OFF

"""Desired against actual, over a kernel that executes what it is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from enforcer.clean import clean
from enforcer.names import IN, Family
from enforcer.observed import ObservedRule
from enforcer.pace import FIGHT_PAUSE, FIGHT_REPAIRS
from enforcer.proof import isolates
from enforcer.slots import LAST_SLOT
from enforcer.status import UNPLACED
from ringfence.config import Enforce
from ringfence.errors import EnforcementFailed
from ringfence.model.enforcement import Drift, Enforcement, EnforcementState
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.model.ruleset import Ruleset
from ringfence.model.workload import Containment, Workload, WorkloadKind
from tests.support.enforcer_world import OWN, POLICY, World
from tests.support.rulesets import DENY_ALL, START, quarantine, rule, ruleset, workload
from tests.support.wait import wait_until


def test_a_ruleset_comes_into_force_and_is_told_once() -> None:
    world = World()
    world.desire()
    world.enforcer.reconcile()
    status = world.only(Enforcement)
    assert (status.state, status.digest) == (EnforcementState.IN_FORCE, POLICY.digest)
    assert [check.passed for check in status.checks] == [True, True, True]
    assert len(world.kernel.writes) == 1


def test_nothing_is_written_before_something_is_desired() -> None:
    world = World()
    world.enforcer.restore([quarantine(world.target)])
    world.enforcer.reconcile()
    assert not world.kernel.writes


def test_drift_is_repaired_counted_and_reported() -> None:
    world = World()
    world.desire()
    world.break_rules()
    world.seconds = 2.0
    world.enforcer.reconcile()
    drift = world.only(Drift)
    assert "RINGFENCE-IN" in drift.what
    assert world.enforcer.statuses()[0].drifts == 1
    assert world.kernel.read(world.netns).rules(Family.IPV4, IN)


def test_a_restart_without_memory_takes_over_without_writing() -> None:
    world = World()
    world.desire()
    world.enforcer = world.restarted()
    world.desire()
    assert len(world.kernel.writes) == 1
    assert not world.all(Drift)


def test_a_failed_apply_is_told_and_retried_later_and_later() -> None:
    world = World()
    world.kernel.fail_restore[Family.IPV6] = 2
    world.desire()
    assert world.state is EnforcementState.FAILED
    world.enforcer.reconcile()
    assert len(world.kernel.writes) == 1, "not at once"
    world.seconds = 0.6
    world.enforcer.reconcile()
    assert world.state is EnforcementState.FAILED
    world.seconds = 2.0
    world.enforcer.reconcile()
    assert world.state is EnforcementState.IN_FORCE


def test_another_wish_is_tried_at_once_after_a_failure() -> None:
    world = World()
    world.kernel.fail_restore[Family.IPV4] = 1
    world.desire()
    world.desire(wanted=ruleset([DENY_ALL]))
    assert world.state is EnforcementState.IN_FORCE


def test_a_fight_is_reported_and_slows_us_down_but_the_last_change_is_put_back() -> None:
    world = World()
    world.desire()
    for _ in range(FIGHT_REPAIRS + 5):
        world.seconds += 0.1
        world.break_rules()
        world.enforcer.reconcile()
    assert len(world.all(Drift)) == FIGHT_REPAIRS
    assert world.state is EnforcementState.PARTIAL
    world.seconds += FIGHT_PAUSE
    world.enforcer.reconcile()
    assert world.kernel.read(world.netns).rules(Family.IPV4, IN)
    world.seconds += 120
    world.enforcer.reconcile()
    assert world.state is EnforcementState.IN_FORCE


def test_an_order_is_applied_cut_and_proven() -> None:
    world = World()
    world.desire()
    world.kernel.namespaces[1].connections = 7
    done = world.enforcer.order(world.target, quarantine(world.target))
    assert (done.state, done.connections_cut) == (QuarantineState.VERIFIED, 7)


def test_an_order_before_any_ruleset_holds_and_its_release_leaves_nothing() -> None:
    world = World()
    done = world.enforcer.order(world.target, quarantine(world.target))
    assert done.state is QuarantineState.VERIFIED
    world.enforcer.desire([world.target], {})
    world.enforcer.release(done, world.target)
    assert world.kernel.read(world.netns).empty


def test_an_order_that_fails_is_tried_again_and_told() -> None:
    world = World()
    world.desire()
    world.kernel.fail_restore[Family.IPV4] = 1
    assert world.enforcer.order(world.target, quarantine(world.target)).state is QuarantineState.FAILED
    world.enforcer.reconcile()
    later = world.only(Quarantine)
    assert later.state is QuarantineState.VERIFIED


def test_a_quarantine_restored_without_memory_is_proven_and_told() -> None:
    world = World()
    world.enforcer.restore([quarantine(world.target, state=QuarantineState.VERIFIED)])
    world.desire()
    proven = world.only(Quarantine)
    assert proven.state is QuarantineState.VERIFIED


def test_a_workload_that_restarts_before_anything_is_desired_is_isolated_all_the_same() -> None:
    world = World()
    world.enforcer.restore([quarantine(world.target, state=QuarantineState.VERIFIED)])
    second = world.kernel.add(2)
    moved, other = replace(world.target, netns=2, netns_path=second.path), replace(world.target, id="w2")
    world.enforcer.notice([moved, other])
    world.enforcer.reconcile()
    assert world.only(Quarantine).state is QuarantineState.VERIFIED
    assert isolates(world.kernel.read(second))
    assert world.kernel.writes == [2], "what nobody isolates stays as it is"
    with pytest.raises(EnforcementFailed, match="not known yet"):
        world.enforcer.release(quarantine(moved), moved)
    world.kernel.namespaces[2].tables[Family.IPV4][IN] = []
    world.seconds = 100.0
    world.enforcer.reconcile()
    assert world.only(Drift).workload == "w1"


def test_what_holds_for_others_in_a_hosts_namespace_stays_until_something_is_desired() -> None:
    world = World()
    target = workload(world.netns, containment=Containment.CGROUP, cgroup="docker/abc")
    other = replace(target, id="w2", cgroup="docker/b")
    world.desire(target, other)
    world.enforcer = world.restarted()
    world.enforcer.restore([quarantine(target)])
    world.enforcer.notice([target, other])
    world.enforcer.reconcile()
    told = world.enforcer.order(other, quarantine(other, id="q2"))
    world.enforcer.reconcile()
    assert told.state is QuarantineState.FAILED
    assert "not known yet what holds for others" in told.proof.checks[0].detail if told.proof else False
    assert len(world.kernel.writes) == 1
    world.desire(target, other)
    assert {item.id: item.state for item in world.all(Quarantine)} == {
        quarantine(target).id: QuarantineState.VERIFIED,
        "q2": QuarantineState.VERIFIED,
    }


@pytest.mark.parametrize(
    "gone", [{"state": QuarantineState.RELEASED}, {"released": START}], ids=["released", "release wished"]
)
def test_a_released_quarantine_is_not_restored(gone: dict[str, object]) -> None:
    world = World()
    world.enforcer.restore([quarantine(world.target, **gone)])
    world.desire()
    assert not world.all(Quarantine)


def test_a_quarantine_follows_its_workload_into_a_new_namespace() -> None:
    world = World()
    world.desire()
    world.enforcer.order(world.target, quarantine(world.target))
    second = world.kernel.add(2)
    world.desire(replace(world.target, netns=second.inode, netns_path=second.path))
    assert world.kernel.read(second).rules(Family.IPV6, "RINGFENCE-Q-OUT")
    assert len(world.all(Quarantine)) == 1


def test_a_quarantine_released_while_its_workload_was_stopped_does_not_come_back() -> None:
    world = World()
    world.desire()
    done = world.enforcer.order(world.target, quarantine(world.target))
    world.enforcer.desire([replace(world.target, ended=START)], {})
    world.enforcer.reconcile()
    assert world.enforcer.release(done).state is QuarantineState.RELEASED
    second = world.kernel.add(2)
    world.desire(replace(world.target, netns=second.inode, netns_path=second.path))
    assert not world.kernel.read(second).rules(Family.IPV4, "RINGFENCE-Q-OUT")
    assert not world.all(Quarantine)


def test_an_order_for_a_namespace_not_known_yet_is_kept_and_proven_when_it_is() -> None:
    world = World()
    early = replace(world.target, netns=None, netns_path=None)
    assert world.enforcer.order(early, quarantine(early)).state is QuarantineState.FAILED
    world.desire()
    later = world.only(Quarantine)
    assert later.state is QuarantineState.VERIFIED


def test_whatever_one_namespace_meets_the_others_get_their_rules() -> None:
    world = World()
    second = world.kernel.add(2)
    other = replace(world.target, id="w2", netns=second.inode, netns_path=second.path)
    world.kernel.broken[1] = OSError(24, "Too many open files")
    world.desire(world.target, other)
    states = {item.workload: (item.state, item.reason) for item in world.enforcer.statuses()}
    assert states["w1"] == (EnforcementState.FAILED, "OSError: [Errno 24] Too many open files")
    assert states["w2"][0] is EnforcementState.IN_FORCE
    del world.kernel.broken[1]
    world.seconds = 1.0
    world.enforcer.reconcile()
    assert world.state is EnforcementState.IN_FORCE


REFUSED: dict[str, Callable[[Workload], Workload]] = {
    "not containable": lambda item: replace(item, containment=Containment.NOT_CONTAINABLE, containment_reason="why"),
    "a host": lambda item: replace(item, kind=WorkloadKind.HOST),
    "external": lambda item: replace(item, kind=WorkloadKind.EXTERNAL),
    "ended": lambda item: replace(item, ended=START),
    "without a namespace": lambda item: replace(item, netns=None),
    "in the enforcer's own namespace": lambda item: replace(item, netns=OWN),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_isolated_is_refused_with_the_reason(change: Callable[[Workload], Workload]) -> None:
    world = World()
    target = change(world.target)
    done = world.enforcer.order(target, quarantine(target))
    assert done.state is QuarantineState.FAILED
    assert done.proof is not None
    assert done.proof.checks[0].detail
    kept = world.enforcer._desired.quarantine(target.id) is not None
    assert kept is (target.containment is Containment.NAMESPACE and target.kind is WorkloadKind.CONTAINER)
    assert not world.kernel.writes


def test_switched_off_it_writes_nothing_and_says_so() -> None:
    world = World(Enforce(enabled=False))
    world.desire()
    assert world.state is EnforcementState.OFF
    assert world.enforcer.order(world.target, quarantine(world.target)).state is QuarantineState.FAILED
    assert not world.kernel.writes


def test_a_namespace_that_ended_is_no_error() -> None:
    world = World()
    world.desire()
    del world.kernel.namespaces[1]
    world.seconds = 100.0
    world.enforcer.reconcile()
    order = quarantine(world.target)
    assert world.enforcer.release(order, world.target).state is QuarantineState.RELEASED


def test_the_host_itself_gets_no_rules() -> None:
    world = World()
    world.desire(replace(world.target, kind=WorkloadKind.HOST))
    assert world.state is EnforcementState.OFF
    assert not world.kernel.writes


def test_a_member_of_the_hosts_namespace_without_a_cgroup_is_never_called_enforced() -> None:
    world = World()
    slotted = replace(world.target, id="w2", containment=Containment.CGROUP, cgroup="/docker/x")
    world.desire(world.target, slotted)
    states = {item.workload: item.state for item in world.enforcer.statuses()}
    assert states == {"w1": EnforcementState.NOT_CONTAINABLE, "w2": EnforcementState.IN_FORCE}
    assert world.enforcer.slots() == {1: "w2"}


@pytest.mark.parametrize("lacking", ["its cgroup", "a slot"])
def test_a_host_network_workload_without_a_rule_is_never_called_enforced(lacking: str) -> None:
    world = World()
    target = workload(world.netns, id="w999", containment=Containment.CGROUP, cgroup="docker/abc")
    others = [replace(target, id=f"w{number}") for number in range(LAST_SLOT)] if lacking == "a slot" else []
    world.gone |= {"docker/abc"} if lacking == "its cgroup" else set()
    for _ in range(2):
        world.seconds += 100.0
        world.desire(*others, target)
    told = {(item.workload, item.state) for item in world.statuses}
    assert told == {*((item.id, EnforcementState.IN_FORCE) for item in others), ("w999", EnforcementState.FAILED)}
    assert [item.reason for item in world.enforcer.statuses() if item.workload == "w999"] == [UNPLACED]


def test_a_report_from_a_rule_somebody_put_above_names_it() -> None:
    world = World()
    world.desire()
    world.kernel.namespaces[1].tables[Family.IPV6]["OUTPUT"].insert(0, ObservedRule(text="-j ACCEPT"))
    world.enforcer.reconcile()
    drift = world.only(Drift)
    assert drift.what == "IPv6 OUTPUT: the jump is not first"


def test_in_the_background_a_change_is_seen_and_put_back() -> None:
    world = World(Enforce(drift_seconds=0.05))
    world.enforcer.start()
    try:
        world.enforcer.desire([world.target], {world.target.id: POLICY})
        wait_until("the rules are in force", lambda: world.all(Enforcement))
        world.break_rules()
        world.kernel.watching.touch(1)
        wait_until("they are put back", lambda: world.all(Drift))
    finally:
        world.enforcer.stop()
    assert world.kernel.watching.closed


IMPOSSIBLE = ruleset([rule(1 << 20, True)])
TOO_LARGE = replace(ruleset([]), problem="it does not fit")


@pytest.mark.parametrize("earlier", [POLICY, None], ids=["with a ruleset before", "without"])
@pytest.mark.parametrize("wanted", [IMPOSSIBLE, TOO_LARGE], ids=["no such mark", "too large"])
def test_a_quarantine_stands_although_the_ruleset_cannot_be_expressed(wanted: Ruleset, earlier: Ruleset | None) -> None:
    world = World()
    if earlier is not None:
        world.desire(wanted=earlier)
    world.desire(wanted=wanted)
    assert world.state is EnforcementState.FAILED
    done = world.enforcer.order(world.target, quarantine(world.target))
    assert done.state is QuarantineState.VERIFIED, done.proof
    world.enforcer.reconcile()
    assert world.state is EnforcementState.FAILED
    assert "does not fit" in world.enforcer.statuses()[0].reason
    rules = world.kernel.namespaces[1].tables[Family.IPV4][IN]
    assert (len(rules) > 1) is (earlier is not None), "the ruleset before it is still there"


@pytest.mark.parametrize("running", [True, False], ids=["its workload runs", "its workload is gone"])
def test_after_a_restart_a_release_waits_until_it_is_known_what_should_hold_instead(running: bool) -> None:
    world = World()
    world.desire()
    order = world.enforcer.order(world.target, quarantine(world.target))
    world.enforcer = world.restarted()
    world.enforcer.restore([order])
    if running:
        with pytest.raises(EnforcementFailed, match="not known yet"):
            world.enforcer.release(order, world.target)
        world.desire()
    assert world.enforcer.release(order, world.target if running else None).state is QuarantineState.RELEASED
    assert isolates(world.kernel.read(world.netns)) is not running


def test_before_anything_is_desired_an_order_of_now_is_not_released_into_nothing() -> None:
    world = World()
    done = world.enforcer.order(world.target, quarantine(world.target))
    with pytest.raises(EnforcementFailed, match="not known yet"):
        world.enforcer.release(done, world.target)


def test_switched_off_a_release_is_none_while_the_isolation_stands() -> None:
    world = World()
    world.desire()
    done = world.enforcer.order(world.target, quarantine(world.target))
    world.enforcer = world.restarted(Enforce(enabled=False))
    with pytest.raises(EnforcementFailed, match="not known yet"):
        world.enforcer.release(done, world.target)
    world.enforcer.desire([world.target], {})
    with pytest.raises(EnforcementFailed, match=r"still stand, and .*enforce\.enabled"):
        world.enforcer.release(done, world.target)
    clean(world.kernel, [world.netns])
    assert world.enforcer.release(done, world.target).state is QuarantineState.RELEASED


def test_runs_that_are_over_are_forgotten() -> None:
    world = World()
    for number in range(3):
        again = {"containment": Containment.CGROUP, "cgroup": f"docker/{number}", "started": world.now()}
        world.desire(workload(world.netns, **again))
        world.seconds += 1.0
    assert len(world.enforcer._receiving) == 1

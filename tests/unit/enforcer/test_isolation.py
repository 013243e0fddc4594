"""Putting a proof together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enforcer.connections import Cut
from enforcer.isolation import isolate, refused
from enforcer.kernel import Access
from enforcer.netns import Netns
from enforcer.place import Place
from enforcer.plan import namespace_plan
from enforcer.scope import Scope
from ringfence.errors import EnforcementFailed
from ringfence.model.enforcement import Drift, EnforcementState
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.model.workload import Containment
from tests.support.enforcer_world import World
from tests.support.fake_kernel import FakeKernel
from tests.support.rulesets import START, quarantine, ruleset, workload


class Uncuttable(FakeKernel):
    def cut(self, netns: Netns, scope: Scope | None, access: Access = ()) -> Cut:
        raise EnforcementFailed("conntrack is not installed")


def isolated(kernel: FakeKernel, earlier: int | None = None) -> Quarantine:
    netns = kernel.add(1)
    kernel.namespaces[1].connections = 3
    order = quarantine(workload(netns), connections_cut=earlier)
    observed = Place(netns, kernel).settle(namespace_plan(ruleset(), order, 0xFF00)).observed
    return isolate(order, observed, kernel=kernel, netns=netns, scope=None, clock=lambda: START)


def test_every_check_passed_is_verified() -> None:
    done = isolated(FakeKernel())
    assert done.state is QuarantineState.VERIFIED
    assert done.proof is not None
    assert done.proof.at == START


def test_connections_cut_add_up_over_proofs() -> None:
    assert isolated(FakeKernel()).connections_cut == 3
    assert isolated(FakeKernel(), earlier=4).connections_cut == 7


def test_a_step_that_could_not_be_done_is_partial_with_its_reason() -> None:
    done = isolated(Uncuttable())
    assert done.state is QuarantineState.PARTIAL
    assert done.connections_cut is None
    assert done.proof is not None
    assert [check.detail for check in done.proof.checks if not check.passed] == ["conntrack is not installed"]


def test_a_refusal_is_failed_and_says_why() -> None:
    done = refused(quarantine(workload(Netns(inode=1, path="/"))), "containment", "because", lambda: START)
    assert done.state is QuarantineState.FAILED
    assert done.proof is not None
    assert not done.proof.holds


def test_a_probe_that_gets_through_makes_it_partial() -> None:
    world = World()
    world.desire()
    world.kernel.namespaces[1].leaks = ("UDP to 10.0.0.254",)
    done = world.enforcer.order(world.target, quarantine(world.target))
    assert done.state is QuarantineState.PARTIAL


def test_what_cannot_be_sealed_is_partial() -> None:
    world = World()
    world.kernel.namespaces[1].unsealable = "eth0 is a macvlan"
    world.desire()
    order = world.enforcer.order(world.target, quarantine(world.target))
    assert order.state is QuarantineState.PARTIAL
    assert order.proof is not None
    assert [item.detail for item in order.proof.checks if not item.passed] == ["eth0 is a macvlan; closed"]


def test_an_isolated_host_network_workload_receives_nothing_until_it_is_released() -> None:
    world = World()
    target = workload(world.netns, containment=Containment.CGROUP, cgroup="docker/abc")
    world.desire(target)
    order = world.enforcer.order(target, quarantine(target))
    assert order.state is QuarantineState.VERIFIED, order.proof
    assert world.kernel.deaf == {"/fake/docker/abc"}
    world.enforcer.release(order)
    assert world.kernel.deaf == set()


def test_whatever_isolating_meets_the_release_lets_its_sockets_receive_again() -> None:
    world = World()
    target = workload(world.netns, containment=Containment.CGROUP, cgroup="docker/abc")
    world.desire(target)
    world.kernel.cut_raises = OSError(24, "Too many open files")
    with pytest.raises(OSError, match="Too many"):
        world.enforcer.order(target, quarantine(target))
    assert world.kernel.deaf == {"/fake/docker/abc"}
    world.enforcer.release(quarantine(target), target)
    assert world.kernel.deaf == set()


def test_a_proof_is_made_again_when_its_interfaces_cannot_be_sealed_any_more() -> None:
    world = World()
    world.desire()
    assert world.enforcer.order(world.target, quarantine(world.target)).state is QuarantineState.VERIFIED
    world.kernel.namespaces[1].unsealable = "a macvlan was connected"
    for _ in range(2):
        world.seconds += 10.0
        world.enforcer.reconcile()
    assert world.only(Quarantine).state is QuarantineState.PARTIAL
    world.kernel.namespaces[1].unsealable = ""
    world.seconds += 10.0
    world.enforcer.reconcile()
    assert [item.state for item in world.quarantines] == [QuarantineState.PARTIAL, QuarantineState.VERIFIED]


@pytest.mark.parametrize("weaker", [Containment.HOST_SIDE, Containment.NOT_CONTAINABLE])
def test_a_proof_is_made_again_when_somebody_joins_who_could_undo_the_rules(weaker: Containment) -> None:
    world = World()
    world.desire()
    world.enforcer.order(world.target, quarantine(world.target))
    joined = replace(world.target, containment=weaker, containment_reason="it shares its network with debug")
    for target in (joined, joined, world.target):
        world.seconds += 10.0
        world.desire(target)
    assert [item.state for item in world.quarantines] == [QuarantineState.PARTIAL, QuarantineState.VERIFIED]
    (check,) = [item for item in world.quarantines[0].proof.checks if not item.passed]
    assert check.name == "cannot be undone from inside"


def test_interfaces_are_sealed_for_a_quarantine_and_looked_at_every_two_seconds() -> None:
    world = World()
    world.desire()
    order = world.enforcer.order(world.target, quarantine(world.target))
    assert order.state is QuarantineState.VERIFIED, order.proof
    namespace = world.kernel.namespaces[1]
    assert namespace.seal is not None
    namespace.seal = None
    world.enforcer.reconcile()
    assert namespace.seal is not None
    assert ["veth0" in str(item) for item in world.all(Drift)] == [True]
    world.enforcer.release(order)
    assert namespace.seal is None


def test_an_isolated_host_network_workload_that_dies_fails_nobody_else() -> None:
    world = World()
    target = workload(world.netns, containment=Containment.CGROUP, cgroup="docker/abc")
    other = replace(target, id="w2", cgroup="docker/b")
    world.desire(target, other)
    world.enforcer.order(target, quarantine(target))
    world.gone.add("docker/abc")
    world.desire(target, other)
    assert {item.workload: item.state for item in world.enforcer.statuses()}["w2"] is EnforcementState.IN_FORCE
    assert world.enforcer.order(target, quarantine(target)).state is QuarantineState.FAILED

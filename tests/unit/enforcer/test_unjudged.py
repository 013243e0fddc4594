"""What was connected before the first rules is ended where they judge, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enforcer.connections import Cut
from enforcer.desired import Desired
from enforcer.kernel import Access
from enforcer.names import IN, Family
from enforcer.netns import Netns
from enforcer.place import Place
from enforcer.scope import Scope
from enforcer.unjudged import cut_unjudged
from ringfence.errors import EnforcementFailed
from ringfence.model.verdict import Mode
from ringfence.model.workload import Containment, Workload
from tests.support import enforcer_world
from tests.support.fake_kernel import FakeKernel
from tests.support.rulesets import DENY_ALL, quarantine, ruleset, workload

PROTECT = ruleset([DENY_ALL])


class World:
    """A namespace with workloads; a host-network one has a cgroup while it is in `cgroups`."""

    def __init__(self, *, host: bool, kernel: FakeKernel | None = None) -> None:
        self.kernel = kernel or FakeKernel()
        netns = self.kernel.add(7)
        more = {"containment": Containment.CGROUP, "cgroup": "docker/a"} if host else {}
        self.target: Workload = workload(netns, **more)
        self.cgroups = {"docker/a": "/fake/docker/a", "docker/b": "/fake/docker/b"}
        self.desired = Desired(mask=0x00FFFF00, own_inode=1, cgroups=lambda path: self.cgroups.get(path, ""))
        self.place = Place(netns, self.kernel)

    def settle(self, *workloads: Workload, mode: Mode = Mode.PROTECT) -> str:
        self.desired.replace(workloads, {item.id: replace(PROTECT, mode=mode) for item in workloads})
        self.desired.assign(())
        occupied = self.desired.namespaces()[7]
        self.place.netns = occupied.netns
        self.place.settle(self.desired.plan(occupied))
        return cut_unjudged(self.kernel, self.desired, occupied, self.place)


def test_a_namespace_of_its_own_is_cut_once_as_a_whole() -> None:
    world = World(host=False)
    assert world.settle(world.target) == ""
    assert world.settle(world.target) == ""
    assert world.kernel.cuts == [(7, None)]


def test_in_a_hosts_namespace_only_the_workloads_own_part_is_cut() -> None:
    world = World(host=True)
    other = replace(world.target, id="w2", cgroup="docker/b")
    world.settle(world.target)
    world.settle(world.target, other)
    assert world.kernel.cuts == [
        (7, Scope(slot=1, folder="/fake/docker/a")),
        (7, Scope(slot=2, folder="/fake/docker/b")),
    ]


def test_a_host_network_workload_that_dies_ends_nobodys_connections() -> None:
    world = World(host=True)
    other = replace(world.target, id="w2", cgroup="docker/b")
    world.settle(world.target, other)
    assert not world.place.unjudged
    del world.kernel.cuts[:], world.cgroups["docker/a"]
    world.settle(world.target, other)
    world.cgroups.clear()
    world.settle(world.target, other)
    assert world.kernel.cuts == []
    assert not world.place.unjudged


@pytest.mark.parametrize("mode", [Mode.DISCOVER, Mode.MONITOR])
def test_rules_that_stop_nothing_end_nothing_also_not_later(mode: Mode) -> None:
    world = World(host=False)
    world.settle(world.target, mode=mode)
    world.settle(world.target)
    assert world.kernel.cuts == []


def test_what_a_quarantine_cuts_by_itself_is_not_cut_twice() -> None:
    world = World(host=False)
    world.desired.isolate(quarantine(world.target))
    world.settle(world.target)
    assert world.kernel.cuts == []


class Refusing(FakeKernel):
    """Cannot cut until it is told to."""

    raises = True

    def cut(self, netns: Netns, scope: Scope | None, access: Access = ()) -> Cut:
        if self.raises:
            raise EnforcementFailed("conntrack is not installed")
        return super().cut(netns, scope, access)


def test_what_could_not_be_ended_is_told_and_tried_again() -> None:
    kernel = Refusing()
    world = World(host=False, kernel=kernel)
    assert world.settle(world.target) == (
        "connections older than the rules could not be ended: conntrack is not installed"
    )
    assert world.place.unjudged == {IN}
    kernel.raises = False
    assert world.settle(world.target) == ""
    assert world.kernel.cuts == [(7, None)]


@pytest.mark.parametrize("mode", Mode)
def test_the_first_rules_in_protect_end_what_was_open_and_only_they(mode: Mode) -> None:
    world = enforcer_world.World()
    world.desire(wanted=replace(enforcer_world.POLICY, mode=mode))
    assert world.kernel.cuts == ([(1, None)] if mode is Mode.PROTECT else [])
    world.break_rules()
    world.enforcer.reconcile()
    del world.kernel.namespaces[1].tables[Family.IPV4][IN]
    world.kernel.namespaces[1].tables[Family.IPV4]["INPUT"] = []
    world.enforcer.reconcile()
    world.desire(wanted=enforcer_world.POLICY)
    world.enforcer = world.restarted()
    world.desire(wanted=ruleset([DENY_ALL]))
    assert world.kernel.cuts == ([(1, None)] if mode is Mode.PROTECT else []), (
        "a change, a repair and a restart end nothing"
    )

"""What should hold, as plans."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enforcer.desired import Desired
from enforcer.netns import Netns
from enforcer.plan import Plan, namespace_plan
from ringfence.errors import EnforcementFailed
from ringfence.model.workload import Containment
from tests.support.rulesets import DENY_ALL, START, quarantine, ruleset, workload

MASK = 0x00FFFF00
TARGET = workload(Netns(inode=7, path="/a"))


def desired(*, cgroup_exists: bool = True) -> Desired:
    return Desired(mask=MASK, own_inode=1, cgroups=lambda path: f"/fake/{path}" if cgroup_exists else "")


def test_a_workload_gets_its_ruleset_and_its_order() -> None:
    wish, order = desired(), quarantine(TARGET)
    wish.replace([TARGET], {TARGET.id: ruleset()})
    wish.isolate(order)
    place = wish.namespaces()[7]
    assert wish.plan(place) == namespace_plan(ruleset(), order, MASK)
    wish.free(order)
    assert wish.plan(place) == namespace_plan(ruleset(), None, MASK)


def test_the_enforcers_own_namespace_is_never_a_workloads() -> None:
    wish = desired()
    wish.replace([replace(TARGET, netns=1)], {TARGET.id: ruleset()})
    with pytest.raises(EnforcementFailed):
        wish.plan(wish.namespaces()[1])


def test_one_dead_cgroup_does_not_stop_the_rest() -> None:
    wish = desired(cgroup_exists=False)
    wish.replace([replace(TARGET, containment=Containment.CGROUP, cgroup="/x")], {TARGET.id: ruleset()})
    wish.assign(())
    assert wish.plan(wish.namespaces()[7]) == Plan()
    assert wish.scope_of(wish.namespaces()[7].owner) is None


def test_in_a_hosts_network_one_ruleset_that_could_not_be_had_does_not_stop_the_rest() -> None:
    wish, too_large = desired(), replace(ruleset([]), problem="too large")
    one = replace(TARGET, containment=Containment.CGROUP, cgroup="/x")
    other = replace(one, id="w2", cgroup="/y")
    wish.replace([one, other], {one.id: ruleset([DENY_ALL]), other.id: ruleset()})
    wish.assign(())
    before = wish.plan(wish.namespaces()[7])
    wish.replace([one, other], {one.id: too_large, other.id: ruleset()})
    assert wish.plan(wish.namespaces()[7]) == before
    wish.replace([other], {other.id: ruleset()})
    alone = wish.plan(wish.namespaces()[7])
    wish.replace([one, other], {one.id: too_large, other.id: ruleset()})
    assert wish.plan(wish.namespaces()[7]) == alone, "nothing is known that was before"


def test_a_guest_may_bring_the_ruleset_when_the_owner_has_none() -> None:
    wish, guest = desired(), replace(TARGET, id="z")
    wish.replace([TARGET, guest], {"z": ruleset()})
    assert wish.ruleset(wish.namespaces()[7]) == ruleset()


def test_how_an_order_went_does_not_bring_back_one_that_was_released() -> None:
    wish, order = desired(), quarantine(TARGET)
    wish.isolate(order)
    wish.free(order)
    wish.settled(order)
    assert wish.quarantine(TARGET.id) is None
    wish.isolate(replace(order, id="another"))
    wish.settled(order)
    standing = wish.quarantine(TARGET.id)
    assert standing is not None
    assert standing.id == "another"


def test_releasing_one_order_leaves_another_one_standing() -> None:
    wish, order = desired(), quarantine(TARGET)
    wish.isolate(replace(order, id="another"))
    wish.free(order)
    assert wish.quarantine(TARGET.id) is not None


def test_the_place_of_a_workload_is_where_it_stands_now() -> None:
    wish = desired()
    assert wish.place_of(TARGET.id) is None
    wish.replace([TARGET], {})
    assert wish.place_of(TARGET.id) == wish.namespaces()[7]


def test_before_anything_is_desired_whoever_stands_with_an_isolated_one_is_kept_while_it_runs() -> None:
    wish, peer, other = desired(), replace(TARGET, id="peer"), replace(TARGET, id="other", netns=8)
    wish.isolate(quarantine(TARGET))
    wish.notice([TARGET, peer, other])
    assert [item.id for item in wish.namespaces()[7].members] == ["peer", "w1"]
    assert set(wish.namespaces()) == {7}
    wish.notice([replace(TARGET, ended=START), other])
    assert wish.namespaces() == {}
    wish.replace([TARGET], {})
    wish.notice([])
    assert set(wish.namespaces()) == {7}, "from then on only what is desired counts"

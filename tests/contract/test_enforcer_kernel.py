"""One suite for every kernel the enforcer can be given: the fake that executes and the real one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from enforcer.change import plan_change
from enforcer.kernel import Kernel, SystemKernel
from enforcer.names import IN, Family
from enforcer.netns import NamespaceGone, Netns
from enforcer.place import Place
from enforcer.plan import Plan, namespace_plan
from ringfence.config import Enforce
from ringfence.errors import EnforcementFailed
from tests.support.fake_kernel import FakeKernel
from tests.support.namespaces import Fabric
from tests.support.require import require
from tests.support.rulesets import DENY_ALL, address_set, quarantine, rule, ruleset, service, workload

MASK = 0x00FFFF00
WEB = ruleset(
    [rule(16, True, "peers", service(6, 80, (8000, 8100))), rule(17, True, None, service(1, icmp_type=8)), DENY_ALL],
    sets=[address_set("peers", "10.0.0.0/24", "fd00::/64")],
)


@dataclass(frozen=True)
class Subject:
    kernel: Kernel
    namespace: Callable[[], Netns]


@pytest.fixture(params=["fake", pytest.param("system", marks=pytest.mark.root)])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        fake, inodes = FakeKernel(), itertools.count(100)
        yield Subject(fake, lambda: fake.add(next(inodes)))
        return
    require("namespaces", "iptables", "ipset", "conntrack")
    with Fabric() as fabric:

        def make() -> Netns:
            made = fabric.namespace("k")
            return Netns(inode=made.inode, path=str(made.path))

        yield Subject(SystemKernel(Enforce()), make)


def test_a_namespace_begins_empty(subject: Subject) -> None:
    assert subject.kernel.read(subject.namespace()).empty


def test_what_is_written_is_read_back_and_then_nothing_is_left_to_do(subject: Subject) -> None:
    netns, plan = subject.namespace(), namespace_plan(WEB, None, MASK)
    subject.kernel.write(netns, plan_change(plan, subject.kernel.read(netns), {}))
    assert plan_change(plan, subject.kernel.read(netns), {}).empty


def test_a_quarantine_changes_only_its_own_chains(subject: Subject) -> None:
    netns = subject.namespace()
    order = quarantine(workload(netns))
    place = Place(netns, subject.kernel)
    place.settle(namespace_plan(WEB, None, MASK))
    change = plan_change(namespace_plan(WEB, order, MASK), subject.kernel.read(netns), {})
    declared = {line for line in change.tables[Family.IPV4].splitlines() if line.startswith(":")}
    assert declared == {":RINGFENCE-Q-IN - [0:0]", ":RINGFENCE-Q-OUT - [0:0]", ":RINGFENCE-FWD - [0:0]"}
    assert not change.sets_before
    assert not change.sets_after


@pytest.mark.parametrize("order", [("policy", "quarantine", "none"), ("quarantine", "policy", "none")])
def test_every_plan_can_follow_every_other(subject: Subject, order: tuple[str, ...]) -> None:
    netns = subject.namespace()
    place = Place(netns, subject.kernel)
    plans = {
        "policy": namespace_plan(WEB, None, MASK),
        "quarantine": namespace_plan(None, quarantine(workload(netns)), MASK),
        "none": Plan(),
    }
    for name in order:
        place.settle(plans[name])
        assert plan_change(plans[name], subject.kernel.read(netns), {}).empty
    assert subject.kernel.read(netns).empty


def test_members_are_swapped_without_touching_the_rules(subject: Subject) -> None:
    netns = subject.namespace()
    place = Place(netns, subject.kernel)
    place.settle(namespace_plan(WEB, None, MASK))
    grown = ruleset(WEB.ingress, sets=[address_set("peers", "10.0.0.0/24", "10.1.0.0/16", "0.0.0.0/0", "fd01::/64")])
    change = plan_change(namespace_plan(grown, None, MASK), subject.kernel.read(netns), {})
    assert not change.tables
    subject.kernel.write(netns, change)
    assert plan_change(namespace_plan(grown, None, MASK), subject.kernel.read(netns), {}).empty
    assert len(subject.kernel.read(netns).sets) == 2


def test_a_refused_table_leaves_both_families_as_they_were(subject: Subject) -> None:
    netns, plan = subject.namespace(), namespace_plan(WEB, None, MASK)
    place = Place(netns, subject.kernel)
    place.settle(plan)
    before = subject.kernel.read(netns)
    other = ruleset([rule(20, True, None, service(17, 53)), DENY_ALL])
    change = plan_change(namespace_plan(other, None, MASK), before, {})
    bad = change.tables[Family.IPV6].replace("COMMIT", "-A RINGFENCE-IN -j RINGFENCE-NOWHERE\nCOMMIT")
    broken = type(change)(sets_before=change.sets_before, tables={**change.tables, Family.IPV6: bad}, undo=change.undo)
    with pytest.raises(EnforcementFailed):
        subject.kernel.write(netns, broken)
    after = subject.kernel.read(netns)
    assert {key: [rule.text for rule in after.rules(*key)] for key in after.chains} == {
        key: [rule.text for rule in before.rules(*key)] for key in before.chains
    }


def test_a_rule_that_names_a_missing_set_is_refused(subject: Subject) -> None:
    netns = subject.namespace()
    change = plan_change(namespace_plan(WEB, None, MASK), subject.kernel.read(netns), {})
    with pytest.raises(EnforcementFailed):
        subject.kernel.write(netns, type(change)(tables=change.tables, undo=change.undo))
    assert not subject.kernel.read(netns).rules(Family.IPV4, IN)


def test_a_namespace_that_is_gone_says_so(subject: Subject) -> None:
    gone = Netns(inode=1, path="/nowhere")
    with pytest.raises(NamespaceGone):
        subject.kernel.read(gone)


def test_cutting_an_idle_namespace_cuts_nothing(subject: Subject) -> None:
    cut = subject.kernel.cut(subject.namespace(), None)
    assert (cut.connections, cut.sockets, cut.left, cut.problem) == (0, 0, 0, "")

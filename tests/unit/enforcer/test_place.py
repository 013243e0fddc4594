"""One namespace kept as planned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enforcer.frames import seal_of
from enforcer.names import IN, Family
from enforcer.observed import ObservedRule
from enforcer.place import ATTEMPTS, VERIFY_SECONDS, Place
from enforcer.plan import namespace_plan
from ringfence.errors import EnforcementFailed
from tests.support.fake_kernel import FakeKernel, FakeNamespace, fake_namespace
from tests.support.rulesets import DENY_ALL, address_set, rule, ruleset

MASK = 0x00FFFF00
SEAL = seal_of(())
OLD = namespace_plan(ruleset([rule(16, True, "a"), DENY_ALL], sets=[address_set("a", "10.0.0.0/8")]), None, MASK)
NEW = namespace_plan(ruleset([rule(17, True, "a"), DENY_ALL], sets=[address_set("a", "10.0.0.0/8")]), None, MASK)


def test_the_second_time_nothing_is_written() -> None:
    with fake_namespace() as (kernel, netns):
        place = Place(netns, kernel)
        assert place.settle(OLD).wrote
        assert not place.settle(OLD).wrote
        assert len(kernel.writes) == 1


@pytest.mark.parametrize("family", Family)
def test_a_restore_that_fails_leaves_both_families_old(family: Family) -> None:
    with fake_namespace() as (kernel, netns):
        place = Place(netns, kernel)
        place.settle(OLD)
        before = kernel.read(netns).tables
        kernel.fail_restore[family] = 1
        with pytest.raises(EnforcementFailed, match="told to fail"):
            place.settle(NEW)
        assert kernel.read(netns).tables == before
        assert place.settle(NEW).wrote, "and the next attempt succeeds"


def test_a_set_that_fails_leaves_the_rules_alone() -> None:
    with fake_namespace() as (kernel, netns):
        place = Place(netns, kernel)
        place.settle(OLD)
        before = kernel.read(netns).tables
        kernel.fail_sets = 1
        with pytest.raises(EnforcementFailed):
            place.settle(NEW)
        assert kernel.read(netns).tables == before
        place.settle(NEW)


def test_somebody_between_read_and_write_is_noticed() -> None:
    def insert(namespace: FakeNamespace) -> None:
        namespace.tables[Family.IPV4]["INPUT"].insert(0, ObservedRule(text="-j ACCEPT"))

    with fake_namespace() as (kernel, netns):
        kernel.interfere = insert
        Place(netns, kernel).settle(OLD)
        assert kernel.read(netns).rules(Family.IPV4, "INPUT")[0].target == IN


def test_somebody_who_always_wins_is_an_error_not_a_loop() -> None:
    with fake_namespace() as (kernel, netns):
        place = Place(netns, _Undoing(kernel))
        with pytest.raises(EnforcementFailed, match="do not stay"):
            place.settle(OLD)
        assert len(kernel.writes) == ATTEMPTS


class _Undoing(FakeKernel):
    """Forgets one chain after every write."""

    def __init__(self, kernel: FakeKernel) -> None:
        super().__init__()
        self.namespaces, self.writes = kernel.namespaces, kernel.writes

    def write(self, netns, change) -> None:  # type: ignore[no-untyped-def]
        super().write(netns, change)
        self.namespaces[netns.inode].tables[Family.IPV4][IN] = []


def test_drift_is_what_changed_while_the_plan_did_not() -> None:
    with fake_namespace() as (kernel, netns):
        place = Place(netns, kernel)
        assert not place.settle(OLD).drift
        assert not place.settle(NEW).drift
        kernel.namespaces[netns.inode].tables[Family.IPV4][IN].pop()
        assert place.settle(NEW).drift == ("IPv4 RINGFENCE-IN: 1 of 7 rules missing, 0 not ours",)


def test_suspicion_lasts_until_it_is_seen_to_hold() -> None:
    with fake_namespace() as (kernel, netns):
        place = Place(netns, kernel)
        place.settle(OLD)
        place.seen(100.0)
        assert not place.due(OLD, 101.0)
        assert place.due(OLD, 100.0 + VERIFY_SECONDS)
        place.suspect(99.0)
        place.suspect(101.0)
        assert place.due(OLD, 101.0)
        assert place.seen(103.0) == 4.0
        assert not place.due(OLD, 103.0)
        assert place.due(NEW, 103.0)


def test_without_tc_ordinary_rules_come_into_force_and_what_could_not_be_opened_is_told() -> None:
    with fake_namespace() as (kernel, netns):
        place, kernel.sealing = Place(netns, kernel), "tc is not installed"
        sealed = place.settle(OLD).sealed
        assert sealed is not None
        assert sealed.problem == "tc is not installed"
        kernel.sealing, kernel.namespaces[netns.inode].seal = "", SEAL
        assert place.settle(OLD).sealed is None
        assert kernel.namespaces[netns.inode].seal is None, "looked at again until it is known"


def test_interfaces_that_were_sealed_and_cannot_be_opened_are_no_release() -> None:
    with fake_namespace() as (kernel, netns):
        place = Place(netns, kernel)
        place.settle(replace(OLD, seal=SEAL))
        kernel.sealing = "tc is not installed"
        with pytest.raises(EnforcementFailed, match="tc is not installed"):
            place.settle(OLD)


def test_where_rules_cannot_be_read_the_outer_end_is_sealed_all_the_same() -> None:
    with fake_namespace() as (kernel, netns):
        place = Place(netns, kernel)
        place.settle(OLD)
        kernel.unreadable = "nft rules that iptables cannot read"
        with pytest.raises(EnforcementFailed, match="cannot read"):
            place.settle(replace(OLD, seal=SEAL))
        assert kernel.namespaces[netns.inode].seal == SEAL
        with pytest.raises(EnforcementFailed, match="cannot read"):
            place.settle(OLD)
        assert kernel.namespaces[netns.inode].seal == SEAL, "opened only with the rules that then hold"
        kernel.unreadable = ""
        place.settle(OLD)
        assert kernel.namespaces[netns.inode].seal is None

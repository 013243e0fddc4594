"""Removing everything of ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enforcer.change import plan_change
from enforcer.clean import clean
from enforcer.names import Family
from enforcer.netns import Netns
from enforcer.observed import Observed, ObservedRule, holds_ours
from enforcer.place import Place
from enforcer.plan import namespace_plan
from ringfence.errors import EnforcementFailed
from tests.support.fake_kernel import FakeKernel, fake_namespace
from tests.support.rulesets import address_set, rule, ruleset

PLAN = namespace_plan(ruleset([rule(16, True, "a")], sets=[address_set("a", "10.0.0.0/8")]), None, 0xFF00)


def test_what_is_ours_goes_and_what_is_not_stays() -> None:
    with fake_namespace() as (kernel, netns):
        theirs = ObservedRule(text="-p tcp -j ACCEPT")
        kernel.namespaces[netns.inode].tables[Family.IPV4]["INPUT"].append(theirs)
        Place(netns, kernel).settle(PLAN)
        assert clean(kernel, [netns, Netns(inode=5, path="/gone")]) == 1
        assert kernel.read(netns).empty
        assert kernel.read(netns).rules(Family.IPV4, "INPUT") == (theirs,)
        assert clean(kernel, [netns]) == 0


def test_one_that_fails_does_not_keep_the_others_and_is_named() -> None:
    with fake_namespace() as (kernel, netns):
        second = kernel.add(2)
        for item in (netns, second):
            Place(item, kernel).settle(PLAN)
        kernel.fail_restore[Family.IPV4] = 1
        with pytest.raises(EnforcementFailed, match=str(netns.inode)):
            clean(kernel, [netns, second])
        assert kernel.read(second).empty


def test_without_tc_the_rules_go_all_the_same_and_the_rest_is_told() -> None:
    with fake_namespace() as (kernel, netns):
        Place(netns, kernel).settle(PLAN)
        kernel.sealing = "tc is not installed"
        with pytest.raises(EnforcementFailed, match="tc is not installed"):
            clean(kernel, [netns])
        assert kernel.read(netns).empty


class Blind(FakeKernel):
    """IPv6 cannot be read."""

    def read(self, netns: Netns) -> Observed:
        seen = super().read(netns)
        reasons = {Family.IPV6: "ip6tables-save failed"}
        tables = {Family.IPV4: seen.tables[Family.IPV4], Family.IPV6: {}}
        return replace(seen, tables=tables, unreadable=reasons, unseen=frozenset(reasons))


def test_what_could_not_be_looked_at_is_no_success() -> None:
    kernel = Blind()
    netns = kernel.add(1)
    plan = namespace_plan(ruleset([rule(16, True)]), None, 0xFF00)
    kernel.write(netns, plan_change(plan, FakeKernel.read(kernel, netns), {}))
    with pytest.raises(EnforcementFailed, match=r"namespace 1: .*IPv6.*ip6tables-save failed"):
        clean(kernel, [netns])
    assert not holds_ours(kernel.read(netns).tables[Family.IPV4])

"""The difference between plan and kernel, and the input that closes it."""

from __future__ import annotations

from dataclasses import replace

from enforcer.change import plan_change, texts_of
from enforcer.names import IN, Family
from enforcer.observed import Observed, ObservedRule
from enforcer.place import Place
from enforcer.plan import Plan, namespace_plan
from tests.support.fake_kernel import FakeKernel, FakeNamespace, fake_namespace
from tests.support.rulesets import DENY_ALL, address_set, rule, ruleset

MASK = 0x00FFFF00
PLAN = namespace_plan(ruleset([rule(16, True, "a"), DENY_ALL], sets=[address_set("a", "10.0.0.0/8")]), None, MASK)
NOTHING = Observed(tables={family: {} for family in Family})


def held() -> tuple[FakeKernel, FakeNamespace, Observed]:
    with fake_namespace() as (kernel, netns):
        Place(netns, kernel).settle(PLAN)
        return kernel, kernel.namespaces[netns.inode], kernel.read(netns)


def test_nothing_wanted_and_nothing_there_is_no_change() -> None:
    assert plan_change(Plan(), NOTHING, {}).empty


def test_each_family_is_one_complete_input() -> None:
    change = plan_change(PLAN, NOTHING, {})
    for text in change.tables.values():
        assert text.startswith("*filter\n")
        assert text.endswith("COMMIT\n")


def test_a_held_plan_is_no_change() -> None:
    _, _, observed = held()
    assert plan_change(PLAN, observed, texts_of(observed)).empty


def test_same_hashes_with_another_text_are_a_difference_once_the_text_is_known() -> None:
    _, _, observed = held()
    rules = list(observed.rules(Family.IPV4, IN))
    rules[-1] = ObservedRule(text=rules[-1].text.replace("DROP", "ACCEPT"))
    tables = {**observed.tables, Family.IPV4: {**observed.tables[Family.IPV4], IN: tuple(rules)}}
    forged = replace(observed, tables=tables)
    assert plan_change(PLAN, forged, {}).empty, "hashes alone cannot tell"
    assert plan_change(PLAN, forged, texts_of(observed)).differences == (
        "IPv4 RINGFENCE-IN: rules changed or in another order",
    )


def test_only_the_chain_that_differs_is_written() -> None:
    _, namespace, _ = held()
    namespace.tables[Family.IPV6][IN].pop()
    with fake_namespace() as (kernel, netns):
        kernel.namespaces[netns.inode] = namespace
        change = plan_change(PLAN, kernel.read(netns), {})
    assert change.tables.keys() == {Family.IPV6}
    assert [line for line in change.tables[Family.IPV6].splitlines() if line[0] == ":"] == [":RINGFENCE-IN - [0:0]"]


def test_a_foreign_rule_above_the_jump_is_not_removed_but_passed() -> None:
    _, namespace, _ = held()
    namespace.tables[Family.IPV4]["INPUT"].insert(0, ObservedRule(text="-j ACCEPT"))
    with fake_namespace() as (kernel, netns):
        kernel.namespaces[netns.inode] = namespace
        change = plan_change(PLAN, kernel.read(netns), {})
        assert change.differences == ("IPv4 INPUT: the jump is not first",)
        kernel.write(netns, change)
        assert [item.target for item in kernel.read(netns).rules(Family.IPV4, "INPUT")] == [IN, "ACCEPT"]


def test_a_jump_with_a_condition_is_no_jump() -> None:
    _, namespace, _ = held()
    jump = namespace.tables[Family.IPV4]["INPUT"][0]
    namespace.tables[Family.IPV4]["INPUT"][0] = ObservedRule(text=f"-s 192.0.2.1/32 {jump.text}")
    with fake_namespace() as (kernel, netns):
        kernel.namespaces[netns.inode] = namespace
        assert plan_change(PLAN, kernel.read(netns), {}).differences == ("IPv4 INPUT: the jump was changed",)


def test_ipv6_that_cannot_be_programmed_is_left_out_only_where_it_is_not_in_use() -> None:
    unreadable = replace(NOTHING, unreadable={Family.IPV6: "ip6tables is not installed"})
    assert Family.IPV6 in plan_change(PLAN, unreadable, {}).tables
    assert Family.IPV6 not in plan_change(PLAN, replace(unreadable, ipv6_active=False), {}).tables


def test_the_undo_of_a_change_restores_the_table() -> None:
    kernel, namespace, _ = held()
    before = {
        family: {name: list(rules) for name, rules in table.items()} for family, table in namespace.tables.items()
    }
    inode = next(iter(kernel.namespaces))
    with fake_namespace(inode) as (_, netns):
        change = plan_change(Plan(), kernel.read(netns), {})
        only_tables = replace(change, sets_before="", sets_after="")
        kernel.write(netns, only_tables)
        kernel.write(netns, replace(only_tables, tables=change.undo))
    assert namespace.tables == before

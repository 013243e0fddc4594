"""The plan of a namespace."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from enforcer.names import IN, OUT, QUARANTINE_IN, QUARANTINE_OUT, Family
from enforcer.netns import Netns
from enforcer.plan import Plan, namespace_plan, rule_text, ruleset_sets
from ringfence.errors import EnforcementFailed
from tests.support.rulesets import DENY_ALL, address_set, quarantine, rule, ruleset, workload

MASK = 0x00FFFF00
TARGET = workload(Netns(inode=1, path="/x"))


def test_without_rules_and_orders_nothing_is_planned() -> None:
    assert namespace_plan(None, None, MASK) == Plan()
    assert Plan().empty


def test_the_quarantine_is_asked_before_anything_stateful() -> None:
    plan = namespace_plan(ruleset(), quarantine(TARGET), MASK)
    for family in Family:
        chains = plan.tables[family].chains
        assert chains[IN][0] == ("-j", QUARANTINE_IN)
        assert chains[OUT][0] == ("-j", QUARANTINE_OUT)
        assert not any("conntrack" in rule for rule in chains[QUARANTINE_IN])
        assert chains[QUARANTINE_OUT][-1] == ("-j", "DROP")


def test_a_quarantine_changes_no_other_chain() -> None:
    quiet, isolated = namespace_plan(ruleset(), None, MASK), namespace_plan(ruleset(), quarantine(TARGET), MASK)
    for family in Family:
        before, after = quiet.tables[family].chains, isolated.tables[family].chains
        assert {name for name in before if before[name] != after[name]} == {
            QUARANTINE_IN,
            QUARANTINE_OUT,
            "RINGFENCE-FWD",
        }


def test_every_set_exists_in_both_families_also_when_empty() -> None:
    sets = ruleset_sets(ruleset([rule(16, True, "v4"), DENY_ALL], sets=[address_set("v4", "10.0.0.0/8")]))
    assert {(item.family, len(item.members)) for item in sets.values()} == {(Family.IPV4, 1), (Family.IPV6, 0)}


def test_everything_is_two_halves_because_hash_net_takes_no_zero_prefix() -> None:
    sets = ruleset_sets(ruleset(sets=[address_set("all", "0.0.0.0/0", "::/0")]))
    members = {member for item in sets.values() for member in item.members}
    assert members == {ip_network(text) for text in ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")}


def test_members_do_not_change_the_rules() -> None:
    few = ruleset([rule(16, True, "a"), DENY_ALL], sets=[address_set("a", "10.0.0.0/8")])
    many = ruleset([rule(16, True, "a"), DENY_ALL], sets=[address_set("a", "10.0.0.0/8", "10.1.0.0/16", "fd00::/8")])
    assert namespace_plan(few, None, MASK).tables == namespace_plan(many, None, MASK).tables


def test_other_rules_use_other_sets_so_that_a_change_is_never_a_mixture() -> None:
    one = ruleset([rule(16, True, "a"), DENY_ALL], sets=[address_set("a", "10.0.0.0/8")])
    two = ruleset([rule(17, True, "a"), DENY_ALL], sets=[address_set("a", "10.0.0.0/8")])
    assert not ruleset_sets(one).keys() & ruleset_sets(two).keys()


def test_a_rule_that_names_an_unknown_set_is_refused() -> None:
    with pytest.raises(EnforcementFailed, match="not there"):
        namespace_plan(ruleset([rule(16, True, "ghost")]), None, MASK)


def test_the_comment_follows_the_content_and_the_chain() -> None:
    texts = {rule_text("A", ("-j", "DROP")), rule_text("B", ("-j", "DROP")), rule_text("A", ("-j", "ACCEPT"))}
    assert len({text.split('"')[0].split()[3] for text in texts}) == 3

"""A policy as people read it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from policy_engine.parse import parse_policy
from ringfence.demo.shop import POLICY
from ringfence.model.verdict import Direction, Mode
from ringfence.model.workload import WorkloadKind
from ringfence.store.flows import FlowQuery
from tests.support.site import Site
from web.bar import read_bar
from web.policy_view import (
    columns_of,
    decided_by,
    effective,
    hits_of,
    in_words,
    mode_counts,
    read_policy,
    text_changes,
    would_be_decided_by,
)


def test_tiers_hold_their_policies_with_the_workloads_they_select(shop: Site) -> None:
    policies = parse_policy(POLICY)
    tier = columns_of(policies, list(shop.workloads().values()), {})[0]
    assert (tier.name, tier.default) == ("application", "deny")
    assert {card.name: (card.selected, card.enforced) for card in tier.cards}["db"] == (1, False)
    assert {card.name: card.enforced for card in tier.cards}["coupon"]
    assert POLICY.splitlines()[tier.cards[0].line - 1].strip().startswith("- name: web")


def test_rules_are_said_in_words() -> None:
    policies = parse_policy(POLICY)
    db = next(policy for policy in policies.tiers[0].policies if policy.name == "db")
    assert in_words(db.rules(Direction.INGRESS)[0], Direction.INGRESS) == "tcp 5432 from role in {'api', 'batch'}"


def test_hits_are_counted_by_rule(shop: Site) -> None:
    now = shop.clock()
    hits = hits_of(shop.flows, FlowQuery(start=now - timedelta(days=1), end=now))
    assert hits["application/egress/default"].flows == 48


def test_a_workload_has_the_policies_that_select_it(shop: Site) -> None:
    found = effective(parse_policy(POLICY), shop.workloads()["db"], {})
    assert [(tier, card.name) for tier, card in found] == [("application", "db")]


def test_modes_are_counted(shop: Site) -> None:
    assert mode_counts(parse_policy(POLICY), shop.workloads().values()) == {Mode.MONITOR: 11, Mode.PROTECT: 1}


def test_hosts_and_networks_outside_are_in_no_mode_and_isolated_by_nothing(shop: Site) -> None:
    db = shop.workloads()["db"]
    host, outside = (replace(db, kind=kind) for kind in (WorkloadKind.HOST, WorkloadKind.EXTERNAL))
    assert mode_counts(parse_policy(POLICY), [db, host, outside]).total() == 1
    assert effective(parse_policy(POLICY), db, {}) and effective(parse_policy(POLICY), outside, {}) == ()


def test_a_text_that_cannot_be_read_is_none() -> None:
    assert read_policy("tiers: 5") is None


def test_changes_are_lines_with_a_sign() -> None:
    assert [(line.sign, line.text) for line in text_changes("a\nb", "a\nc")] == [(" ", "a"), ("-", "b"), ("+", "c")]
    assert text_changes("a", "a") == ()


def test_hits_of_what_is_not_enforced_are_counted_apart_and_found_by_their_filter(shop: Site) -> None:
    now = shop.clock()
    day = FlowQuery(start=now - timedelta(days=1), end=now)
    hits = hits_of(shop.flows, day)
    staged = {name: hit for name, hit in hits.items() if hit.staged}
    assert staged
    for name, hit in staged.items():
        found = read_bar(would_be_decided_by(name)).filter
        assert shop.flows.search(replace(day, filter=found), limit=1).total == hit.staged
    for name in {name for name, hit in hits.items() if hit.flows}:
        found = read_bar(decided_by(name)).filter
        assert shop.flows.search(replace(day, filter=found), limit=1).total == hits[name].flows

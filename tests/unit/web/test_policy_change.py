"""What a draft would change."""

from __future__ import annotations

from policy_engine.parse import parse_policy
from ringfence.demo.shop import POLICY
from ringfence.model.policy import PolicySet
from tests.support.site import Site
from web.policy_change import change_of


def test_recorded_connections_that_would_be_closed_are_named_with_their_reason(shop: Site) -> None:
    workloads = list(shop.workloads().values())
    change = change_of(PolicySet(), parse_policy(POLICY), workloads, shop.flows, shop.clock())
    closed = {(row.src, row.dst, row.service) for row in change.closed}
    assert ("batch", "cache", "tcp/6379") in closed
    assert ("api", "db", "tcp/5432") not in closed
    assert change.opened == ()
    assert change.complete
    assert change.flows(change.closed) == sum(row.flows for row in change.closed) > 100
    assert all("may not reach" in row.sentence for row in change.closed)


def test_what_nobody_saw_goes_along(shop: Site) -> None:
    policies = parse_policy(POLICY)
    change = change_of(policies, policies, list(shop.workloads().values()), shop.flows, shop.clock())
    assert [gap.id for gap in change.gaps] == ["gap-2", "gap-1"]
    assert change.first is not None
    assert change.first > change.since


def test_taking_a_rule_back_opens_what_it_closed(shop: Site) -> None:
    workloads = list(shop.workloads().values())
    there = change_of(PolicySet(), parse_policy(POLICY), workloads, shop.flows, shop.clock())
    back = change_of(parse_policy(POLICY), PolicySet(), workloads, shop.flows, shop.clock())
    assert {(row.src, row.dst, row.service) for row in back.opened} == {
        (row.src, row.dst, row.service) for row in there.closed
    }


def test_the_same_policy_changes_nothing(shop: Site) -> None:
    policies = parse_policy(POLICY)
    change = change_of(policies, policies, list(shop.workloads().values()), shop.flows, shop.clock())
    assert (change.opened, change.closed, change.rules.empty) == ((), (), True)

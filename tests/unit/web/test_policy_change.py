"""What a draft would change."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from policy_engine.parse import parse_policy
from ringfence.demo.shop import POLICY
from ringfence.model.policy import PolicySet
from ringfence.model.workload import Attachment, NetworkKind, WorkloadKind
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


def test_what_a_named_network_outside_may_do_now_is_a_change(shop: Site) -> None:
    part = Attachment(
        network="wan", kind=NetworkKind.OTHER, since=shop.clock(), networks=(ip_network("198.51.100.0/24"),)
    )
    office = replace(
        shop.workloads()["db"], id="office", name="office", kind=WorkloadKind.EXTERNAL, netns=None,
        labels={"name": "office"}, attachments=(part,),
    )  # fmt: skip
    closed = "version: 1\ntiers: [{name: t}]\npolicies: [{name: db, tier: t, selector: role == 'db', ingress: []}]"
    opened = closed.replace("[]}]", "[{action: allow, from: {selector: name == 'office'}}]}]")
    workloads = [*shop.workloads().values(), office]
    found = change_of(parse_policy(closed), parse_policy(opened), workloads, shop.flows, shop.clock()).rules
    assert {item.sources for item in found.opened} == {("office",)}

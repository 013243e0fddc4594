from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from policy_engine.endpoint import Endpoint, Request
from policy_engine.matching import governs, networks_match, peer_matches, rule_matches, selects, service_matches
from ringfence.model.policy import Action, Peer, Policy, PortInterval, Rule, Selector, Service

TEN = ip_network("10.0.0.0/8")
API = Endpoint(name="api", labels={"role": "api"}, address=ip_address("10.0.0.2"))
OUTSIDE = Endpoint(name="x", address=ip_address("192.0.2.1"))
NOWHERE = Endpoint(name="y", labels={})
ALL = Selector(text="all()")


@pytest.mark.parametrize(
    ("peer", "end", "expected"),
    [
        (Peer(), OUTSIDE, True),
        (Peer(selector=ALL), OUTSIDE, False),
        (Peer(selector=ALL), NOWHERE, True),
        (Peer(networks=(TEN,)), API, True),
        (Peer(networks=(TEN,)), OUTSIDE, False),
        (Peer(networks=(TEN,)), NOWHERE, False),
        (Peer(not_networks=(TEN,)), OUTSIDE, True),
        (Peer(not_networks=(TEN,)), API, False),
        (Peer(not_networks=(TEN,)), NOWHERE, False),
        (Peer(selector=ALL, networks=(TEN,), not_networks=(ip_network("10.0.0.2/32"),)), API, False),
        (Peer(selector=Selector(text="role == 'db'"), networks=(TEN,)), API, False),
    ],
)
def test_a_peer_holds_all_its_criteria(peer: Peer, end: Endpoint, expected: bool) -> None:
    assert peer_matches(peer, end) is expected


@pytest.mark.parametrize(
    ("service", "request_", "expected"),
    [
        (Service(), Request(protocol=47), True),
        (Service(protocol=6), Request(protocol=6, port=1), True),
        (Service(protocol=6), Request(protocol=17, port=1), False),
        (Service(protocol=6, ports=(PortInterval(first=1, last=2),)), Request(protocol=6, port=2), True),
        (Service(protocol=6, ports=(PortInterval(first=1, last=2),)), Request(protocol=6, port=3), False),
        (Service(protocol=6, ports=(PortInterval(first=0, last=2),)), Request(protocol=6), False),
        (Service(protocol=1, icmp_type=8), Request(protocol=1, icmp_type=8, icmp_code=3), True),
        (Service(protocol=1, icmp_type=0), Request(protocol=1), False),
        (Service(protocol=1, icmp_type=3, icmp_code=0), Request(protocol=1, icmp_type=3, icmp_code=1), False),
    ],
)
def test_a_service_matches_what_it_names(service: Service, request_: Request, expected: bool) -> None:
    assert service_matches(service, request_) is expected


def test_families_do_not_match_each_other() -> None:
    assert not networks_match((ip_network("0.0.0.0/0"),), (), ip_address("::1"))
    assert networks_match((), (ip_network("0.0.0.0/0"),), ip_address("::1"))


def test_a_rule_needs_any_peer_and_any_service() -> None:
    rule = Rule(action=Action.ALLOW, peers=(Peer(selector=ALL), Peer(networks=(TEN,))), services=(Service(protocol=6),))
    assert rule_matches(rule, NOWHERE, Request(protocol=6))
    assert not rule_matches(rule, OUTSIDE, Request(protocol=6))
    assert not rule_matches(rule, API, Request(protocol=17))
    assert rule_matches(Rule(action=Action.DENY), OUTSIDE, Request(protocol=99))


def test_only_governed_workloads_have_policies_of_their_own() -> None:
    policy = Policy(name="p", tier="t", selector=ALL)
    assert governs(policy, API)
    assert not governs(policy, OUTSIDE)
    assert not governs(policy, Endpoint(name="office", labels={}, governed=False))
    assert selects(ALL, {})

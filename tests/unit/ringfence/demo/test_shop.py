"""The shop is consistent with itself and its policy is valid."""

from __future__ import annotations

import pytest

from policy_engine.parse import parse_policy
from ringfence.demo.shop import BACKEND, COMPROMISED, FRONTEND, PORTS, SHOP, Member
from ringfence.model.verdict import Mode

BY_NAME = {member.name: member for member in SHOP}


def test_names_are_unique_and_networks_are_the_two() -> None:
    assert len(BY_NAME) == len(SHOP)
    assert {network for member in SHOP for network in member.networks} == {FRONTEND, BACKEND}


@pytest.mark.parametrize("member", SHOP, ids=lambda member: member.name)
def test_whom_a_member_asks_is_on_a_network_of_its_own(member: Member) -> None:
    for name in member.asks:
        assert set(BY_NAME[name].networks) & set(member.networks)
        assert f"${name.upper()}" in member.script
        assert name in PORTS


@pytest.mark.parametrize("name", sorted(PORTS))
def test_what_is_asked_listens_on_its_port(name: str) -> None:
    assert f"httpd -p {PORTS[name]}" in BY_NAME[name].script or f"httpd -f -p {PORTS[name]}" in BY_NAME[name].script


def test_only_the_compromised_one_is_in_protect_mode() -> None:
    from ringfence.demo.shop import POLICY

    policies = parse_policy(POLICY)
    assert policies.default_mode is Mode.MONITOR
    assert [(group.mode, group.selector.text) for group in policies.groups] == [
        (Mode.PROTECT, f"role == '{COMPROMISED}'")
    ]
    assert len(policies.responses) == 1


def test_the_scan_is_more_than_the_response_waits_for() -> None:
    from ringfence.demo.shop import POLICY

    script = BY_NAME[COMPROMISED].script
    ports = script.partition("for port in ")[2].partition(";")[0].split()
    assert len(ports) >= parse_policy(POLICY).responses[0].count

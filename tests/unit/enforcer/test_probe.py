"""Where a probe goes: only to the namespace's own networks."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from enforcer.probe import targets_of


def link(*addresses: str, flags: tuple[str, ...] = ("UP",)) -> dict[str, Any]:
    parts = [text.split("/") for text in addresses]
    return {
        "ifname": "eth0",
        "flags": list(flags),
        "addr_info": [{"local": host, "prefixlen": int(length), "scope": "global"} for host, length in parts],
    }


@pytest.mark.parametrize(
    ("addresses", "routes", "expected"),
    [
        ([link("10.0.0.5/24")], [{"dst": "default", "gateway": "10.0.0.1"}], ["10.0.0.1"]),
        ([link("10.0.0.1/24")], [], ["10.0.0.2"]),
        ([link("10.0.0.0/31")], [], ["10.0.0.1"]),
        ([link("10.0.0.1/32")], [], []),
        ([link("fd00::1/64")], [{"gateway": "fe80::1"}], ["fd00::2"]),
        (
            [link("10.0.0.1/32")],
            [{"dst": "default", "gateway": "169.254.1.1"}, {"dst": "169.254.1.1", "scope": "link"}],
            ["169.254.1.1"],
        ),
        ([link("10.0.0.1/32")], [{"dst": "10.0.0.9", "dev": "eth0"}], ["10.0.0.9"]),
        ([link("10.0.0.1/32")], [{"dst": "default", "dev": "eth0"}], ["192.0.2.1", "2001:db8::1"]),
        ([link("169.254.7.7/16")], [], ["169.254.0.1"]),
        ([link("fe80::7/64")], [{"dst": "default", "gateway": "fe80::1", "dev": "eth0"}], ["fe80::1%eth0"]),
        ([link("fe80::7/64")], [{"dst": "fe80::/64", "dev": "eth0"}], ["fe80::1%eth0"]),
        ([link("10.0.0.1/24", flags=())], [], []),
        ([link("127.0.0.1/8", flags=("LOOPBACK", "UP"))], [], []),
        ([], [], []),
    ],
    ids=[
        "gateway",
        "neighbour",
        "point to point",
        "alone",
        "no link-local gateway",
        "a link-local gateway",
        "a host on the link",
        "only a way beyond",
        "link-local addresses",
        "a link-local router",
        "only link-local",
        "down",
        "only loopback",
        "nothing",
    ],
)
def test_targets(addresses: list[dict[str, Any]], routes: list[dict[str, Any]], expected: list[str]) -> None:
    assert targets_of(addresses, routes) == expected


def test_two_per_family_at_most() -> None:
    links = [link(f"10.0.{number}.1/24", f"fd0{number}::1/64") for number in range(5)]
    assert targets_of(links, []) == ["10.0.0.2", "10.0.1.2", "fd00::2", "fd01::2"]


def test_what_a_controlled_access_opens_is_not_tried() -> None:
    opened = [ip_network("10.0.0.0/29")]
    assert targets_of([link("10.0.0.9/24")], [{"dst": "default", "gateway": "10.0.0.1"}], opened) == ["10.0.0.8"]
    assert targets_of([link("10.0.0.2/30")], [], opened) == []

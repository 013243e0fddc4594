"""Where a probe goes: only to the namespace's own networks."""

from __future__ import annotations

from typing import Any

import pytest

from enforcer.probe import targets_of


def link(*addresses: str, flags: tuple[str, ...] = ("UP",)) -> dict[str, Any]:
    parts = [text.split("/") for text in addresses]
    return {
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
        ([link("127.0.0.1/8", flags=("LOOPBACK", "UP"))], [], []),
        ([], [], []),
    ],
    ids=["gateway", "neighbour", "point to point", "alone", "no link-local gateway", "only loopback", "nothing"],
)
def test_targets(addresses: list[dict[str, Any]], routes: list[dict[str, Any]], expected: list[str]) -> None:
    assert targets_of(addresses, routes) == expected


def test_two_per_family_at_most() -> None:
    links = [link(f"10.0.{number}.1/24", f"fd0{number}::1/64") for number in range(5)]
    assert targets_of(links, []) == ["10.0.0.2", "10.0.1.2", "fd00::2", "fd01::2"]

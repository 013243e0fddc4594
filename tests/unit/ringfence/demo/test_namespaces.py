"""The inventory without Docker names every workload, its namespace and its addresses."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

from collector.static import parse_entries
from ringfence.demo.namespaces import addresses, environment, inventory
from ringfence.demo.shop import BACKEND, FRONTEND, SHOP

BY_NAME = {member.name: member for member in SHOP}


def test_every_member_is_listed_with_both_families() -> None:
    listed = json.loads(json.dumps(inventory()))
    assert [item["name"] for item in listed] == [f"shop-{member.name}" for member in SHOP]
    for item, member in zip(listed, SHOP, strict=True):
        assert item["labels"] == member.labels
        assert item["netns_path"] == f"/run/netns/{item['id']}"
        assert set(item["networks"]) == {f"shop-{network}" for network in member.networks}
        for network in item["networks"].values():
            assert [ip_address(address).version for address in network["addresses"]] == [4, 6]


def test_the_collector_reads_it() -> None:
    read = parse_entries(json.dumps(inventory()).encode())
    assert [(item["name"], item["labels"]) for item in read] == [(f"shop-{m.name}", m.labels) for m in SHOP]


def test_no_two_members_share_an_address() -> None:
    given = [address for member in SHOP for network in member.networks for address in addresses(member, network)]
    assert len(given) == len(set(given))


def test_others_are_named_by_an_address_on_a_shared_network() -> None:
    found = environment(BY_NAME["coupon"], Path("/demo"))
    assert found["API"] == addresses(BY_NAME["api"], FRONTEND)[0]
    assert found["DB"] == addresses(BY_NAME["db"], BACKEND)[0]
    assert found["FLAG"] == "/demo/compromised"

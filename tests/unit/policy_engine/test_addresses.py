from __future__ import annotations

from ipaddress import IPv4Address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from policy_engine.addresses import (
    address_set,
    addresses,
    common,
    difference,
    disjoint,
    host_network,
    intersection,
    own_parts,
    union,
)
from ringfence.model.policy import Network

small = st.tuples(st.integers(0, 15), st.integers(28, 32)).map(
    lambda pair: ip_network((int(IPv4Address("10.0.0.0")) + pair[0], pair[1]), strict=False)
)
lists = st.lists(small, max_size=6)


def members(networks: tuple[Network, ...] | list[Network]) -> set[object]:
    return {address for network in networks for address in network}


@given(lists, lists)
def test_set_algebra_is_that_of_the_addresses(one: list[Network], other: list[Network]) -> None:
    a, b = addresses("a", one), addresses("b", other)
    assert members(a.members) == members(one)
    assert members(intersection(a, b).members) == members(one) & members(other)
    assert members(union(a, b).members) == members(one) | members(other)
    for item in (a, intersection(a, b), union(a, b)):
        assert item.members == disjoint(item.members)
        assert sum(network.num_addresses for network in item.members) == len(members(item.members))


@given(lists, lists)
def test_differences_and_common_parts_are_those_of_the_addresses(one: list[Network], other: list[Network]) -> None:
    assert members(difference(one, other)) == members(one) - members(other)
    assert members(common(one, other)) == members(one) & members(other)
    assert difference(one, other) == disjoint(difference(one, other))


@given(lists)
def test_an_address_belongs_to_the_smallest_network_around_it(networks: list[Network]) -> None:
    owners: dict[object, Network] = {}
    for network in sorted(networks, key=lambda item: item.prefixlen):
        owners.update(dict.fromkeys(network, network))
    parts = own_parts(networks)
    assert {address: network for network, own in parts.items() for address in members(own)} == owners
    assert set(parts) == set(networks)


def test_parts_of_a_large_network_are_few() -> None:
    whole, hole = ip_network("2001:db8::/32"), ip_network("2001:db8::1/128")
    assert len(own_parts([whole, hole])[whole]) == 96


def test_a_name_follows_the_definition_and_not_the_members() -> None:
    one = addresses("role == 'db'", [ip_network("10.0.0.1/32")])
    other = addresses("role == 'db'", [])
    assert one.name == other.name
    assert one.name != addresses("role == 'api'", one.members).name
    assert len(one.name) <= 27


def test_both_families_are_kept_apart() -> None:
    found = address_set(addresses("any", [ip_network("::/0"), ip_network("0.0.0.0/0"), ip_network("10.0.0.0/8")]))
    assert [str(item) for item in found.ipv4] == ["0.0.0.0/0"]
    assert [str(item) for item in found.ipv6] == ["::/0"]


def test_families_never_intersect() -> None:
    both = intersection(addresses("a", [ip_network("0.0.0.0/0")]), addresses("b", [ip_network("::/0")]))
    assert both.members == ()


def test_an_address_is_a_network_of_one() -> None:
    assert host_network(IPv4Address("10.0.0.1")) == ip_network("10.0.0.1/32")

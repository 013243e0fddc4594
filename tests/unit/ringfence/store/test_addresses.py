from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.store.addresses import (
    LOW_BITS,
    address_key,
    key_columns,
    network_keys,
    overlaps_mapped,
    parse_network,
)

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(ADDRESSES, st.ip_addresses(v=4), st.integers(0, 32))
def test_an_address_is_in_an_ipv4_network_exactly_when_its_key_is(
    address: IPv4Address | IPv6Address, base: IPv4Address, length: int
) -> None:
    network = parse_network(f"{base}/{length}")
    first, last = network_keys(network)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else address
    assert (first <= (address_key(str(address)) or 0) <= last) == (mapped is not None and mapped in network)


@given(st.ip_addresses(v=6), st.ip_addresses(v=6), st.integers(0, 128))
def test_an_address_is_in_an_ipv6_network_exactly_when_its_key_is(
    address: IPv6Address, base: IPv6Address, length: int
) -> None:
    network = parse_network(f"{base}/{length}")
    first, last = network_keys(network)
    assert (first <= (address_key(str(address)) or 0) <= last) == (address in network)


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.256", "x", ":::", "fe80::1%eth0", "10.0.0.1\0", "1" * 99])
def test_what_is_no_address_has_no_key(text: str) -> None:
    assert address_key(text) is None


def test_notations_of_one_address_have_one_key() -> None:
    assert len({address_key(text) for text in ("2001:db8::1", "2001:0DB8:0:0::1", "2001:db8:0:0:0:0:0:1")}) == 1
    assert address_key("10.0.0.1") == address_key("::ffff:10.0.0.1")


@pytest.mark.parametrize(
    ("text", "expected"), [("::/0", True), ("::/64", True), ("::ffff:0:0/96", False), ("fd00::/8", False)]
)
def test_ipv6_networks_around_the_ipv4_keys_are_known(text: str, expected: bool) -> None:
    assert overlaps_mapped(ip_network(text)) is expected
    assert not overlaps_mapped(ip_network("0.0.0.0/0"))


def test_columns_of_keys_keep_nulls_and_order() -> None:
    texts = ["10.0.0.1", None, "fd00::1", "broken", "10.0.0.1"]
    high, low = key_columns(pa.chunked_array([texts[:2], texts[2:]], pa.string()))
    found = [None if a is None else (a << 64) | b for a, b in zip(high.to_pylist(), low.to_pylist(), strict=True)]
    assert found == [None if text is None else address_key(text) for text in texts]
    assert max(low.to_pylist(), key=lambda value: value or 0) <= LOW_BITS


def test_no_addresses_are_no_keys() -> None:
    high, low = key_columns(pa.chunked_array([], pa.string()))
    assert (len(high), len(low)) == (0, 0)

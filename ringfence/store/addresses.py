"""Addresses as sortable 128-bit keys, so that any database can compare them: IPv4 stands at ::ffff:0:0/96."""

from __future__ import annotations

import socket
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

import numpy as np
import pyarrow as pa

Network = IPv4Network | IPv6Network

MAPPED = 0xFFFF << 32
"""What an IPv4 address is added to (RFC 4291, section 2.5.5.2)."""
LOW_BITS = (1 << 64) - 1


@lru_cache(maxsize=65_536)
def address_key(text: str) -> int | None:
    """The 128-bit key of an address in any notation; None when it is no address."""
    try:
        if ":" in text:
            return int.from_bytes(socket.inet_pton(socket.AF_INET6, text))
        return MAPPED | int.from_bytes(socket.inet_pton(socket.AF_INET, text))
    except (OSError, ValueError):
        return None


def network_keys(network: Network) -> tuple[int, int]:
    """First and last key of a network. `::/0` begins below the IPv4 keys and ends above: see `overlaps_mapped`."""
    first, last = int(network.network_address), int(network.broadcast_address)
    return (MAPPED | first, MAPPED | last) if network.version == 4 else (first, last)


def overlaps_mapped(network: Network) -> bool:
    """Whether an IPv6 network's range holds the keys of IPv4 addresses, which are not meant by it."""
    return network.version == 6 and network.prefixlen < 96 and int(network.network_address) == 0


def parse_network(text: str) -> Network:
    """An address or a CIDR; bits below the mask are ignored as every firewall does.

    Raises:
        ValueError: neither.
    """
    return ip_network(text, strict=False)


def key_columns(addresses: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Upper and lower 64 bits (uint64) of every address; null where there is none.

    Each distinct address is parsed once: a batch has far fewer addresses than rows.
    """
    encoded = addresses.combine_chunks().dictionary_encode()
    keys = [None if text is None else address_key(text) for text in encoded.dictionary.to_pylist()]
    missing = np.array([key is None for key in keys], dtype=bool)
    high = np.array([(key or 0) >> 64 for key in keys], dtype=np.uint64)
    low = np.array([(key or 0) & LOW_BITS for key in keys], dtype=np.uint64)
    return tuple(pa.array(half, mask=missing).take(encoded.indices) for half in (high, low))

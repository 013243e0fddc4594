"""Which of many lists of networks contain an address: one look-up per prefix length in use, not one per network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ringfence.model.policy import Network
from ringfence.model.workload import Address

CACHE_SIZE = 65_536

Table = dict[int, dict[int, dict[int, int]]]
"""family -> bits that the prefix length leaves -> prefix -> bits of the lists that have it."""


class NetworkIndex:
    """Bit `i` stands for the i-th pair of (networks, exceptions); no networks means anywhere but the exceptions."""

    def __init__(self, lists: Sequence[tuple[tuple[Network, ...], tuple[Network, ...]]]) -> None:
        self._inside = _table((index, item[0]) for index, item in enumerate(lists))
        self._outside = _table((index, item[1]) for index, item in enumerate(lists))
        self._anywhere = sum(1 << index for index, item in enumerate(lists) if not item[0])
        self._unconditional = sum(1 << index for index, item in enumerate(lists) if not item[0] and not item[1])
        self._cache: dict[Address, int] = {}

    def bits(self, address: Address | None) -> int:
        """The lists that contain the address; without an address, those that ask for none."""
        if address is None:
            return self._unconditional
        found = self._cache.get(address)
        if found is None:
            found = (self._anywhere | _look_up(self._inside, address)) & ~_look_up(self._outside, address)
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            self._cache[address] = found
        return found


def _table(lists: Iterable[tuple[int, tuple[Network, ...]]]) -> Table:
    table: Table = {4: {}, 6: {}}
    for index, networks in lists:
        for network in networks:
            rest = network.max_prefixlen - network.prefixlen
            prefixes = table[network.version].setdefault(rest, {})
            prefix = int(network.network_address) >> rest
            prefixes[prefix] = prefixes.get(prefix, 0) | 1 << index
    return table


def _look_up(table: Table, address: Address) -> int:
    number, found = int(address), 0
    for rest, prefixes in table[address.version].items():
        found |= prefixes.get(number >> rest, 0)
    return found

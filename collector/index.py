"""Index: 64-bit hashes to row numbers, sorted, for looking up and adding whole columns at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]


class HashIndex:
    """A multimap. Rows with equal hashes keep the order in which they were added.

    Adding n to N costs O(n log N) and one copy of N; 1 million rows: some 5 ms, which a tick of one second affords.
    """

    def __init__(self) -> None:
        self._hashes: Hashes = np.zeros(0, np.uint64)
        self._rows: Rows = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, hashes: Hashes, rows: Rows) -> None:
        """Both shape (n,)."""
        if not len(hashes):
            return
        order = np.argsort(hashes, kind="stable")
        hashes, rows = hashes[order], rows[order]
        places = np.searchsorted(self._hashes, hashes, side="right")
        self._hashes = np.insert(self._hashes, places, hashes)
        self._rows = np.insert(self._rows, places, rows)

    def latest(self, hashes: Hashes) -> Rows:
        """The row added last for each hash (shape n); -1: none."""
        if not len(self._hashes):
            return np.full(len(hashes), -1, np.int64)
        places = np.searchsorted(self._hashes, hashes, side="right") - 1
        found = (places >= 0) & (self._hashes[places] == hashes)
        return np.where(found, self._rows[places], -1)

    def every(self, hashes: Hashes) -> tuple[Rows, Rows]:
        """All matches as (index into `hashes`, row), both of the same length, grouped by the former."""
        first = np.searchsorted(self._hashes, hashes, side="left")
        count = np.searchsorted(self._hashes, hashes, side="right") - first
        asked = np.repeat(np.arange(len(hashes)), count)
        offset = np.arange(len(asked)) - np.repeat(np.cumsum(count) - count, count)
        return asked, self._rows[np.repeat(first, count) + offset]

    def keep(self, alive: NDArray[np.bool_]) -> None:
        """Drop every entry whose row is not `alive` (indexed by row)."""
        stays = alive[self._rows]
        self._hashes, self._rows = self._hashes[stays], self._rows[stays]

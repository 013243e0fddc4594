"""The index finds what a dictionary of lists finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.index import HashIndex

batches = st.lists(st.lists(st.integers(0, 20), max_size=12), max_size=8)


@given(batches, st.sets(st.integers(0, 60)))
def test_it_finds_what_a_dictionary_of_lists_finds(hashes: list[list[int]], removed: set[int]) -> None:
    index, model, row = HashIndex(), {}, 0
    for batch in hashes:
        rows = np.arange(row, row + len(batch))
        index.add(np.array(batch, np.uint64), rows)
        for key in batch:
            model.setdefault(key, []).append(row)
            row += 1
    alive = np.array([number not in removed for number in range(row)], bool)
    index.keep(alive)
    model = {key: [item for item in rows if alive[item]] for key, rows in model.items()}
    asked = np.arange(25, dtype=np.uint64)
    latest = [model.get(key, [-1])[-1] if model.get(key) else -1 for key in range(25)]
    assert index.latest(asked).tolist() == latest
    position, found = index.every(asked)
    pairs = list(zip(position.tolist(), found.tolist(), strict=True))
    assert pairs == [(key, item) for key in range(25) for item in model.get(key, [])]
    assert len(index) == sum(map(len, model.values()))


def test_an_empty_index_finds_nothing() -> None:
    assert HashIndex().latest(np.array([1, 2], np.uint64)).tolist() == [-1, -1]
    assert len(HashIndex().every(np.array([1], np.uint64))[0]) == 0

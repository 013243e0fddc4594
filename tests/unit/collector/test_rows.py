"""Messages of one length become rows, signatures are exact, and order is restored."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.columns import DENIED
from collector.rows import PADDING, Output, Signature, lengths_in, rows_of, words_of


@given(st.lists(st.binary(min_size=20, max_size=20), min_size=1, max_size=8), st.integers(0, 3))
def test_rows_hold_the_messages(messages: list[bytes], gap: int) -> None:
    stride = 20 + gap * 4
    data = np.frombuffer(bytearray(b"".join(raw.ljust(stride, b"x") for raw in messages) + bytes(PADDING)), np.uint8)
    rows = rows_of(data, np.arange(len(messages), dtype=np.int64) * stride, 20)
    assert rows.shape == (len(messages), words_of(20))
    assert [row.tobytes()[:20] for row in rows] == messages


def test_only_lengths_in_the_range_are_named() -> None:
    assert lengths_in(np.array([3, 20, 500, 20, 9999, 21]), 20, 500) == [20, 21, 500]
    assert lengths_in(np.array([1]), 20, 500) == []


@given(st.binary(min_size=16, max_size=16), st.integers(0, 15), st.integers(1, 255), st.sets(st.integers(0, 15)))
def test_a_signature_sees_exactly_the_bits_that_count(raw: bytes, where: int, change: int, counted: set[int]) -> None:
    signature = Signature(16)
    signature.mask[sorted(counted)] = 0xFF
    signature.learn(raw)
    other = bytearray(raw)
    other[where] ^= change
    rows = np.frombuffer(raw + bytes(other), np.uint64).reshape(2, 2)
    assert signature.matches(rows).tolist() == [True, where not in counted]


@given(st.integers(0, 200), st.sets(st.integers(0, 199)))
def test_any_number_of_rows_is_compared(count: int, wrong: set[int]) -> None:
    signature = Signature(20)
    signature.mask[4:20] = 0xFF
    signature.learn(bytes(range(20)))
    rows = np.frombuffer((bytes(range(20)) + b"pad.") * count, np.uint64).reshape(count, 3).copy()
    rows.view(np.uint8)[[number for number in wrong if number < count], 19] ^= 1
    assert np.flatnonzero(~signature.matches(rows)).tolist() == sorted(number for number in wrong if number < count)


@given(st.permutations(range(9)), st.integers(1, 4))
def test_order_is_restored(places: list[int], size: int) -> None:
    output = Output(12, DENIED)
    for start in range(0, 9, size):
        index = np.array(places[start : start + size], np.int64)
        output.take(index)["rule"] = index * 10
    records, order = output.sorted()
    assert order.tolist() == list(range(9))
    assert records["rule"].tolist() == [number * 10 for number in range(9)]

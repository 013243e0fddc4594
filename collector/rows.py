"""Rows: messages of one length as a matrix, and records put back in the order of their messages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDING = 8
"""Bytes that must be readable behind the last message of a buffer."""

_TOGETHER = 64
"""Rows compared at a time: numpy's inner loop is long, which halves the cost of a comparison."""


def words_of(length: int) -> int:
    """64-bit words that hold `length` bytes."""
    return -(-length // 8)


def rows_of(data: NDArray[np.uint8], offsets: NDArray[np.int64], length: int) -> NDArray[np.uint64]:
    """The messages of `length` bytes at `offsets` (shape n, multiples of 4) as one matrix of words, shape (n, words).

    `data` is contiguous and goes on for `PADDING` bytes behind the last message; what follows a message pads its row.
    """
    width = words_of(length) * 2
    cells = data[: len(data) // 4 * 4].view(np.uint32)
    window: NDArray[np.uint32] = np.ndarray((len(cells) - width + 1, width), np.uint32, cells, strides=(4, 4))
    gathered: NDArray[np.uint32] = window[offsets >> 2]
    return gathered.view(np.uint64)


def lengths_in(lengths: NDArray[np.int64], shortest: int, longest: int) -> list[int]:
    """The distinct lengths between the two, ascending."""
    if int(lengths.max()) > longest:
        lengths = lengths[lengths <= longest]
    return [length for length in np.flatnonzero(np.bincount(lengths)).tolist() if length >= shortest]


class Signature:
    """Bits that must stand in a row, learned from one message: a mask over its bytes. Exact, not a guess."""

    __slots__ = ("_expected", "_mask", "_words", "mask")

    def __init__(self, length: int) -> None:
        self._words = words_of(length)
        self.mask = np.zeros(self._words * 8, np.uint8)
        """Shape (words * 8,); set what counts, then `learn`."""

    def learn(self, message: bytes) -> None:
        """Take the expected bits from `message`."""
        row = np.zeros_like(self.mask)
        row[: len(message)] = np.frombuffer(message, np.uint8)
        self._mask = np.tile(self.mask.view(np.uint64), _TOGETHER)
        self._expected = np.tile((row & self.mask).view(np.uint64), _TOGETHER)

    def matches(self, rows: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which rows (shape n x words) agree in every bit that counts; shape (n,)."""
        differences = np.empty_like(rows)
        whole = len(rows) - len(rows) % _TOGETHER
        for start, end, width in ((0, whole, _TOGETHER * self._words), (whole, len(rows), self._words)):
            part, out = rows[start:end].reshape(-1, width), differences[start:end].reshape(-1, width)
            np.bitwise_xor(part, self._expected[:width], out=out)
            np.bitwise_and(out, self._mask[:width], out=out)
        if not np.bitwise_or.reduce(differences.reshape(-1)):
            return np.ones(len(rows), np.bool_)
        result: NDArray[np.bool_] = np.bitwise_or.reduce(differences, axis=1) == 0
        return result


class Output:
    """Records written group by group, and the message each came from."""

    def __init__(self, total: int, dtype: np.dtype[Any]) -> None:
        self.records: NDArray[Any] = np.zeros(total, dtype)
        self.order: NDArray[np.int64] = np.empty(total, np.int64)
        self.done = 0

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """The next records, for the messages at `index`; zeroed."""
        start, self.done = self.done, self.done + len(index)
        self.order[start : self.done] = index
        return self.records[start : self.done]

    def sorted(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """What was written, in the order of the messages."""
        records, order = self.records[: self.done], self.order[: self.done]
        if bool((order[1:] > order[:-1]).all()):
            return records, order
        place = np.empty(int(order.max()) + 1, np.int64)
        place[order] = np.arange(self.done)
        # Messages that could not be read have left holes in the order.
        back = place if len(place) == self.done else np.argsort(order)
        # Taken as opaque bytes: numpy moves a record field by field, at five times the cost.
        opaque = np.dtype((np.void, records.dtype.itemsize))
        return records.view(opaque).take(back).view(records.dtype), order[back]

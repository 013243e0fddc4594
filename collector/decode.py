"""Decode: conntrack messages, a batch at a time, into `CONNTRACK` records. Never fails; the unreadable is counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from collector.columns import CONNTRACK
from collector.layout import BODY, Layout, Unreadable, walk
from collector.rows import Output, lengths_in, rows_of
from collector.templates import EMPTY, Records, Template, fill_one

MAX_TEMPLATES = 16
"""Templates kept per message length. The kernel's own messages need one to three."""
MAX_LENGTH = 4096
"""Longest message read; the longest seen has some 400 bytes."""


class Decoder:
    """Turns raw messages into records and learns layouts as it meets them. One thread at a time."""

    def __init__(self, *, dump: bool = False, max_templates: int = MAX_TEMPLATES) -> None:
        """`dump`: the messages answer a table dump, else they are events."""
        self._dump, self._max_templates = dump, max_templates
        self._templates: dict[int, list[Template]] = {}
        self.unreadable = 0
        """Messages that could not be read, ever."""
        self.walked = 0
        """Messages read one by one because no template was left for their layout."""

    @property
    def templates(self) -> int:
        """Layouts learned."""
        return sum(map(len, self._templates.values()))

    def decode(
        self, data: NDArray[np.uint8], offsets: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> tuple[Records, NDArray[np.int64]]:
        """Read the messages at `offsets` (multiples of 4) with `lengths` (both shape n) in the flat buffer `data`.

        `data` is contiguous and goes on for `PADDING` bytes behind the last message. Returns the records (shape m <= n)
        in the order of the messages and the index (shape m) of the message each came from; the rest is counted.
        """
        if not len(lengths):
            return EMPTY, np.zeros(0, np.int64)
        output = Output(len(lengths), CONNTRACK)
        for length in lengths_in(lengths, BODY, MAX_LENGTH):
            index = np.flatnonzero(lengths == length)
            self._decode_rows(rows_of(data, offsets[index], length), length, index, output)
        self.unreadable += len(lengths) - output.done
        return output.sorted()

    def _decode_rows(self, rows: NDArray[np.uint64], length: int, index: NDArray[np.int64], output: Output) -> None:
        """Read messages of one length, each by the first template that matches it in every header."""
        templates = self._templates.setdefault(length, [])
        position = 0
        while len(index):
            if position == len(templates):
                message = rows[0].tobytes()[:length]
                layout = self._walk(message)
                if layout is None or position >= self._max_templates:
                    if layout is not None:
                        self.walked += 1
                        fill_one(layout, message, output.take(index[:1]))
                    rows, index = rows[1:], index[1:]
                    continue
                templates.append(Template(layout, message))
            template = templates[position]
            position += 1
            hits = template.matches(rows)
            count = int(np.count_nonzero(hits))
            if count == len(index):
                template.fill(rows, output.take(index))
                return
            if count:
                template.fill(rows[hits], output.take(index[hits]))
                rows, index = rows[~hits], index[~hits]

    def _walk(self, message: bytes) -> Layout | None:
        try:
            return walk(message, dump=self._dump)
        except Unreadable:
            return None

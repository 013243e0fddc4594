"""Tables sorted by a click on a column's head: `sort=bytes` upwards, `sort=-bytes` downwards, in the address."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from web.problems import Refused

Item = TypeVar("Item")
Keys = Mapping[str, Callable[[Item], Any]]
"""What each column is sorted by; None stands last both ways."""


@dataclass(frozen=True, slots=True)
class Order:
    """`column` empty: as the page has it by itself."""

    column: str = ""
    down: bool = False

    def standing(self, column: str) -> str | None:
        """The `aria-sort` of a column's head."""
        return ("descending" if self.down else "ascending") if column == self.column else None

    def clicked(self, column: str, *, down_first: bool) -> str | None:
        """The `sort` that a click on a head leads to: one way, the other way, as it was."""
        if column != self.column:
            return f"-{column}" if down_first else column
        return None if self.down != down_first else (column if self.down else f"-{column}")


BY_ITSELF = Order()


def read_order(text: str, columns: Collection[str]) -> Order:
    """The `sort` of an address.

    Raises:
        Refused: 400 for a column that cannot be sorted by.
    """
    column = text.removeprefix("-")
    if text and column not in columns:
        raise Refused(400, f"There is no sorting by “{column[:40]}”: {', '.join(columns)}.")
    return Order(column, text.startswith("-"))


def in_order(items: Iterable[Item], order: Order, keys: Keys[Item]) -> list[Item]:
    """Sorted; equal ones stay as they stood."""
    rows = list(items)
    if not order.column:
        return rows
    key = keys[order.column]
    known = [row for row in rows if key(row) is not None]
    return sorted(known, key=key, reverse=order.down) + [row for row in rows if key(row) is None]

"""Sorting by a column's head."""

from __future__ import annotations

import pytest

from web.problems import Refused
from web.sorting import Order, in_order, read_order

KEYS = {"size": lambda item: item[1]}
ITEMS = [("a", 2), ("b", None), ("c", 1), ("d", 2)]


def test_a_head_goes_one_way_then_the_other_then_back() -> None:
    clicks = [Order(), Order("size", True), Order("size", False)]
    assert [order.clicked("size", down_first=True) for order in clicks] == ["-size", "size", None]
    assert [order.clicked("size", down_first=False) for order in (clicks[0], clicks[2], clicks[1])] == [
        "size",
        "-size",
        None,
    ]
    assert Order("name").clicked("size", down_first=True) == "-size"


@pytest.mark.parametrize(("text", "names"), [("", "abcd"), ("size", "cadb"), ("-size", "adcb")])
def test_what_is_not_known_stands_last_and_equal_ones_stay(text: str, names: str) -> None:
    assert "".join(item[0] for item in in_order(ITEMS, read_order(text, KEYS), KEYS)) == names


def test_the_head_tells_its_standing() -> None:
    assert Order("size", True).standing("size") == "descending"
    assert Order("size").standing("size") == "ascending"
    assert Order("size").standing("name") is None


def test_a_column_that_is_none_is_refused_in_words() -> None:
    with pytest.raises(Refused, match="size"):
        read_order("-weight", KEYS)

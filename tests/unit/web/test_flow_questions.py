"""What the flow pages ask."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.support.site import Site
from web.bar import read_bar
from web.flow_questions import bars_of, gaps_in, neighbours, newest_since, page_of, ways_out
from web.window import PRESETS, Window, preset_window


def window(site: Site, preset: str = "24h") -> Window:
    return preset_window(preset, ZoneInfo("UTC"), site.clock())


@pytest.mark.parametrize("preset", PRESETS)
def test_the_bars_count_every_flow_once_and_have_no_holes(shop: Site, preset: str) -> None:
    seen = window(shop, preset)
    bars = bars_of(shop.flows, seen, read_bar(""), gaps_in(shop.flows, seen))
    total = page_of(shop.flows, seen, read_bar(""), limit=1).total
    assert sum(bars.total(name) for name in bars.series) == total
    assert {later - earlier for earlier, later in zip(bars.times, bars.times[1:], strict=False)} == {
        bars.bucket_seconds
    }


def test_gaps_are_in_the_bars(shop: Site) -> None:
    seen = window(shop)
    assert len(bars_of(shop.flows, seen, read_bar(""), gaps_in(shop.flows, seen)).gaps) == 2


def test_an_empty_list_names_the_token_that_stands_in_the_way(shop: Site) -> None:
    bar = read_bar("verdict: denied and dst.name: mail")
    ways = ways_out(shop.flows, window(shop), bar)
    assert page_of(shop.flows, window(shop), bar).total == 0
    assert [way.token.text for way in ways] == ["dst.name: mail", "verdict: denied"][
        :: 1 if ways[0].flows == 48 else -1
    ]
    assert all(way.flows == page_of(shop.flows, window(shop), read_bar(way.text)).total for way in ways)


def test_no_token_alone_may_be_the_reason(shop: Site) -> None:
    assert ways_out(shop.flows, window(shop), read_bar("dst.name: x and src.name: y")) == ()


def test_neighbours_are_the_same_ends_around_the_same_time(shop: Site) -> None:
    row = page_of(shop.flows, window(shop), read_bar("verdict: denied and dst.name: db")).rows[0]
    assert neighbours(shop.flows, row) >= 24


def test_the_newest_are_those_with_evidence_since(shop: Site) -> None:
    now = shop.clock()
    page = newest_since(shop.flows, read_bar(""), now - timedelta(hours=1), now, limit=500)
    assert page.rows
    assert all(row["last_seen"] >= now - timedelta(hours=1) for row in page.rows)

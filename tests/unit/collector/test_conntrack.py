"""The pace of the reader: long sleeps while little comes, none when behind."""

from __future__ import annotations

import pytest

from collector.conntrack import LONGEST_SLEEP, SHORTEST_SLEEP, Pace


def test_small_drains_lengthen_the_sleep_to_its_limit() -> None:
    pace = Pace(1000, 50_000)
    delays = []
    for _ in range(6):
        pace.after(3)
        delays.append(pace.delay)
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_SLEEP


def test_a_full_drain_means_no_sleep_until_caught_up() -> None:
    pace = Pace(1000, 50_000)
    pace.after(1000)
    assert pace.delay == 0
    pace.after(600)
    assert pace.delay == SHORTEST_SLEEP


@pytest.mark.parametrize(
    ("slots", "capacity", "count"), [(1000, 50_000, 501), (1000, 200, 51)], ids=["many slots", "full buffer"]
)
def test_large_drains_shorten_the_sleep(slots: int, capacity: int, count: int) -> None:
    pace = Pace(slots, capacity)
    for _ in range(8):
        pace.after(1)
    pace.after(count)
    assert pace.delay == LONGEST_SLEEP / 2
    for _ in range(8):
        pace.after(count)
    assert pace.delay == SHORTEST_SLEEP


def test_a_middling_drain_keeps_the_sleep() -> None:
    pace = Pace(1000, 50_000)
    pace.after(1)
    before = pace.delay
    pace.after(400)
    assert pace.delay == before


def test_idle_is_what_brought_nothing() -> None:
    pace = Pace(1000, 50_000)
    assert pace.idle
    pace.after(1)
    assert not pace.idle
    pace.after(0)
    assert pace.idle

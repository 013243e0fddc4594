"""Gaps in every flow store: DuckDB and a real Elasticsearch tell the same, all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

from ringfence.store.flows import FlowStore
from tests.support.generate import START
from tests.support.rows import batch, gap

HOUR = timedelta(hours=1)


def test_gaps_that_overlap_the_window_come_oldest_first(store: FlowStore) -> None:
    gaps = (gap("late", 50, 60), gap("early", 0, 10, lost=4), gap("instant", 30, 30))
    store.append(batch("1", gaps=gaps))
    store.append(batch("2", gaps=(gap("early", 0, 10, lost=4),)))
    assert store.gaps(START, START + HOUR) == (gaps[1], gaps[2], gaps[0])
    assert store.gaps(START + timedelta(seconds=20), START + timedelta(seconds=50)) == (gaps[2],)


def test_of_a_gap_that_is_twice_in_a_batch_the_last_counts(store: FlowStore) -> None:
    elsewhere = gap("g1", 0, 20, lost=7)
    zone = timezone(timedelta(hours=5))
    elsewhere = replace(elsewhere, started=START.astimezone(zone), ended=elsewhere.ended.astimezone(zone))
    store.append(batch("1", gaps=(gap("g1", 0, 10), elsewhere)))
    assert store.gaps(START, START + HOUR) == (gap("g1", 0, 20, lost=7),)


def test_all_gaps_are_told_however_many(store: FlowStore) -> None:
    # More than a server gives at once, of which many began together.
    gaps = [gap(f"g{number:05}", number // 4000, 100) for number in range(12_000)]
    store.append(batch("1", gaps=tuple(reversed(gaps))))
    assert list(store.gaps(START, START + HOUR)) == gaps

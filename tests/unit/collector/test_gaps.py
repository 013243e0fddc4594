"""Gaps: exact, at most one a second, none where nothing was lost; an outage is one gap that grows."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.gaps import Gaps, Outages
from ringfence.model.gap import GapCause
from tests.support.tracked import START

CAUSE = GapCause.SOCKET_OVERRUN


def test_no_growth_is_no_gap() -> None:
    gaps = Gaps("h")
    assert [gaps.note(CAUSE, 0, START + timedelta(seconds=second)) for second in range(600)] == [None] * 600
    assert gaps.lost == {}


def test_a_gap_covers_the_time_since_the_last_look() -> None:
    gaps = Gaps("h")
    gaps.note(CAUSE, 0, START)
    gaps.note(CAUSE, 0, START + timedelta(seconds=5))
    gap = gaps.note(CAUSE, 42, START + timedelta(seconds=6))
    assert gap is not None
    assert (gap.lost, gap.started, gap.ended) == (42, START + timedelta(seconds=5), START + timedelta(seconds=6))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 900)), max_size=60))
def test_gaps_add_up_to_what_was_lost_and_are_a_second_apart(steps: list[tuple[int, int]]) -> None:
    gaps, figure, now, found = Gaps("h"), 0, START, []
    gaps.note(CAUSE, 0, now)
    for growth, milliseconds in [*steps, (0, 1000), (0, 1000)]:
        figure, now = figure + growth, now + timedelta(milliseconds=milliseconds)
        gap = gaps.note(CAUSE, figure, now)
        if gap is not None:
            found.append(gap)
    assert sum(gap.lost or 0 for gap in found) == figure == gaps.lost.get(CAUSE, 0)
    ends = [gap.ended for gap in found]
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in itertools.pairwise(ends))
    assert len({gap.id for gap in found}) == len(found)


def test_a_figure_that_falls_is_a_new_start() -> None:
    gaps = Gaps("h")
    gaps.note(CAUSE, 0, START)
    gaps.note(CAUSE, 10, START + timedelta(seconds=2))
    gap = gaps.note(CAUSE, 3, START + timedelta(seconds=4))
    assert gap is not None
    assert gap.lost == 3


@pytest.mark.parametrize("back", [timedelta(milliseconds=1), timedelta(hours=1)])
def test_a_loss_after_the_clock_was_set_back_is_said_at_once_and_where_the_clock_is(back: timedelta) -> None:
    gaps = Gaps("h")
    gaps.note(CAUSE, 0, START)
    gap = gaps.note(CAUSE, 42, START - back)
    assert gap is not None
    assert (gap.lost, gap.started, gap.ended) == (42, START - back, START - back)
    later = gaps.note(CAUSE, 43, START - back + timedelta(seconds=2))
    assert later is not None
    assert (later.lost, later.started, later.ended) == (1, START - back, START - back + timedelta(seconds=2))


NAMESPACE = (GapCause.NAMESPACE, "7")


def test_an_outage_is_one_gap_from_its_beginning_to_its_end() -> None:
    outages, told = Outages("h"), {}
    for second in range(60):
        for gap in outages.note({NAMESPACE: "may not be entered"} if second < 45 else {}, START + timedelta(0, second)):
            told[gap.id] = gap
    (gap,) = told.values()
    assert (gap.started, gap.ended, gap.detail) == (START, START + timedelta(seconds=45), "may not be entered")
    assert outages.note({NAMESPACE: "again"}, START + timedelta(seconds=80))[0].id != gap.id


def test_an_outage_is_told_at_once_and_then_now_and_again() -> None:
    outages = Outages("h")
    told = [outages.note({NAMESPACE: "x"}, START + timedelta(seconds=second)) for second in range(25)]
    assert [second for second, gaps in enumerate(told) if gaps] == [0, 10, 20]


def test_outages_do_not_mix_and_none_ends_before_it_begins() -> None:
    outages = Outages("h")
    other = (GapCause.NAMESPACE, "8")
    assert len({gap.id for gap in outages.note({NAMESPACE: "x", other: "x"}, START)}) == 2
    (ended,) = outages.note({NAMESPACE: "x"}, START - timedelta(hours=1))
    assert (ended.id.split(":")[2], ended.started, ended.ended) == ("8", START, START)

"""Ticks are regular, come soon after a denial, and a flood of denials does not multiply them."""

from __future__ import annotations

import itertools

import pytest

from collector.cadence import CALM, SOON, Cadence


def ticks(cadence: Cadence, denials: list[float], until: float) -> list[float]:
    """When a collector would tick whose ticks take no time; each denial is noticed as soon as it may be."""
    now, found, waiting = 0.0, [], sorted(denials)
    while True:
        due = now + cadence.wait(now)
        if not cadence.hurried and waiting and waiting[0] <= due:
            now = max(now, waiting[0])
            waiting = [moment for moment in waiting if moment > now]
            cadence.hurry(now)
            continue
        if due > until:
            return found
        now = due
        found.append(round(now, 6))
        cadence.ticked(now)


def test_without_denials_ticks_are_regular() -> None:
    assert ticks(Cadence(1.0, 0.0), [], 3.5) == [1.0, 2.0, 3.0]


def test_a_tick_that_took_long_is_not_made_up_for() -> None:
    cadence = Cadence(1.0, 0.0)
    cadence.ticked(5.2)
    assert cadence.wait(5.2) == 0.0
    cadence.ticked(5.3)
    assert cadence.wait(5.3) == pytest.approx(0.9)


def test_a_denial_brings_two_ticks_near() -> None:
    assert ticks(Cadence(1.0, 0.0), [0.3], 1.0)[:2] == [pytest.approx(0.3 + SOON), pytest.approx(0.3 + 2 * SOON)]


def test_a_denial_just_before_a_regular_tick_is_written_soon_after_it() -> None:
    assert ticks(Cadence(1.0, 0.0), [0.99], 1.2) == [1.0, pytest.approx(1.0 + SOON)]


def test_a_flood_of_denials_costs_a_bounded_number_of_ticks() -> None:
    flood = [number / 1000 for number in range(10_000)]
    found = ticks(Cadence(1.0, 0.0), flood, 10.0)
    assert len(found) <= 2 * 10 / (CALM + 2 * SOON) + 2
    assert max(later - earlier for earlier, later in itertools.pairwise(found)) <= CALM + SOON + 1e-9


def test_only_ticks_within_a_round_are_extra() -> None:
    cadence = Cadence(1.0, 0.0)
    assert not cadence.within_round(1.0)
    cadence.ticked(1.0)
    cadence.hurry(1.2)
    assert cadence.within_round(1.3)
    cadence.ticked(1.3)
    assert cadence.within_round(1.4)
    cadence.ticked(1.4)
    cadence.hurry(1.95)
    assert not cadence.within_round(2.05), "a whole round is over, however it was filled"
    cadence.ticked(2.05)
    assert cadence.within_round(2.15)


def test_ticks_that_are_quick_anyway_stay_as_they_are() -> None:
    found = ticks(Cadence(0.02, 0.0), [0.005], 0.2)
    assert len(found) == pytest.approx(10, abs=1)

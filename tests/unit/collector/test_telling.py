"""Telling: every change, until it succeeds, and never in the caller's way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from collector.telling import Telling
from tests.support.wait import wait_until

Make = Callable[[Callable[[], None]], Telling]


@pytest.fixture
def failures() -> list[str]:
    return []


@pytest.fixture
def telling(failures: list[str]) -> Iterator[Make]:
    made: list[Telling] = []

    def make(tell: Callable[[], None]) -> Telling:
        made.append(Telling(tell, failed=lambda: failures.append("failed")))
        made[-1].start()
        return made[-1]

    yield make
    for item in made:
        item.stop(5)


def test_what_could_not_be_told_is_told_again(telling: Make, failures: list[str]) -> None:
    told: list[int] = []

    def tell() -> None:
        told.append(1)
        if len(told) < 3:
            raise OSError("the store is away")

    telling(tell).changed()
    wait_until("the third time succeeds", lambda: len(told) == 3)
    assert failures == ["failed", "failed"]


def test_who_changes_something_does_not_wait_and_nothing_of_it_is_left_out(telling: Make) -> None:
    let_go = threading.Event()
    state, told = [0], list[int]()

    def tell() -> None:
        told.append(state[0])
        let_go.wait(10)

    teller = telling(tell)
    teller.changed()
    wait_until("it is being told", lambda: told == [0])
    for number in (1, 2, 3):
        state[0] = number
        teller.changed()
    assert told == [0]
    let_go.set()
    wait_until("the last state is told", lambda: told[-1] == 3)
    assert len(told) <= 3


def test_one_that_never_began_ends() -> None:
    Telling(lambda: None, failed=lambda: None).stop(1)

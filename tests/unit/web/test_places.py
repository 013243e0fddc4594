"""Places among the watchers."""

from __future__ import annotations

from contextlib import ExitStack

from web.places import LEAVING, PER_USER, WATCHERS, Places


def test_there_are_so_many_places_and_no_more() -> None:
    places = Places()
    with ExitStack() as stack:
        taken = [stack.enter_context(places.take(f"user{number}")) for number in range(WATCHERS + 1)]
        assert [place.free for place in taken] == [*[True] * WATCHERS, False]
    with places.take("ann") as place:
        assert place.free


def test_the_newest_windows_of_a_user_are_live() -> None:
    places = Places()
    with ExitStack() as stack:
        taken = [stack.enter_context(places.take("ann")) for _ in range(PER_USER + 1)]
        assert [place.given_up for place in taken] == [True, *[False] * PER_USER]


def test_one_user_cannot_take_all_places_even_with_streams_that_do_not_end() -> None:
    places = Places()
    with ExitStack() as stack:
        taken = [stack.enter_context(places.take("ann")) for _ in range(WATCHERS)]
        assert sum(place.free for place in taken) == PER_USER + LEAVING < WATCHERS
        assert stack.enter_context(places.take("bob")).free


def test_a_place_that_was_left_is_free_again() -> None:
    places = Places(per_user=1)
    for _ in range(2 * WATCHERS):
        with places.take("ann") as place:
            assert place.free

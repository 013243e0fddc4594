"""Refusals counted for the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from web.refusals import EVERY, Refusals

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_first_is_recorded_and_the_others_are_counted_by_user_and_route() -> None:
    refusals = Refusals()
    asked = [("ann", "/users"), ("ann", "/users"), ("bob", "/users"), ("ann", "/audit"), ("ann", "/users")]
    firsts = [refusals.first(user, route, "::1", NOW) for user, route in asked]
    assert firsts == [True, False, True, True, False]
    assert [(tally.user, tally.route, tally.times) for tally in refusals.due(NOW + EVERY)] == [("ann", "/users", 2)]


def test_a_number_is_handed_out_once_and_not_before_its_minute_is_over() -> None:
    refusals = Refusals()
    for _ in range(3):
        refusals.first("ann", "/users", "::1", NOW)
    assert refusals.due(NOW + EVERY - timedelta(seconds=1)) == []
    assert [tally.times for tally in refusals.due(NOW + EVERY)] == [2]
    assert refusals.due(NOW + EVERY) == []
    assert refusals.first("ann", "/users", "::1", NOW + EVERY)

"""Time ranges as the URL has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from web.window import (
    BUCKETS,
    MOST_BUCKETS,
    PRESETS,
    Window,
    WindowInvalid,
    earliest,
    preset_window,
    read_window,
    zone_named,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")


def read(**arguments: str) -> Window:
    return read_window({key.rstrip("_"): value for key, value in arguments.items()}, ZONE, NOW)


def test_without_parameters_it_is_the_last_hour() -> None:
    window = read()
    assert (window.preset, window.length) == ("1h", timedelta(hours=1))
    assert window.start < NOW < window.end


def test_the_longest_range_can_be_asked_for_an_hour_later() -> None:
    asked = {"from": earliest(NOW).isoformat()}
    assert read_window(asked, ZONE, NOW + timedelta(minutes=59)).length > timedelta(days=399)


def test_moments_without_an_offset_are_in_the_zone() -> None:
    window = read(from_="2026-02-01T09:00", to="2026-02-01T10:00:00+00:00")
    assert window.start == datetime(2026, 2, 1, 8, tzinfo=UTC)
    assert window.end == datetime(2026, 2, 1, 10, tzinfo=UTC)
    assert window.preset is None


def test_seconds_since_1970_are_moments() -> None:
    assert read(from_="0", to="3600").length == timedelta(hours=1)


def test_a_missing_end_is_now_and_a_missing_start_an_hour_before() -> None:
    assert read(from_="2026-03-01T12:00").end > NOW
    assert read(to="2026-03-01T12:00").length == timedelta(hours=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"range": "5y"}, "no time range"),
        ({"from_": "2026-02-02", "to": "2026-02-01"}, "ends before it starts"),
        ({"from_": "2026-02-02", "to": "2026-02-02"}, "is empty"),
        ({"from_": "2020-01-01", "to": "2026-01-01"}, "longer than 400 days"),
        ({"from_": "yesterday"}, "is no time"),
        ({"from_": "9" * 30}, "is no time"),
        ({"to": "0001-01-01"}, "is no time"),
        ({"to": "0001-01-02T00:00+00:00"}, "between the years 1970 and 2261"),
        ({"from_": "1969-12-31T23:59+00:00"}, "between the years 1970 and 2261"),
        ({"from_": "9999-12-31T10:00+00:00", "to": "9999-12-31T11:00+00:00"}, "between the years 1970 and 2261"),
    ],
    ids=str,
)
def test_an_impossible_range_says_why(arguments: dict[str, str], words: str) -> None:
    with pytest.raises(WindowInvalid, match=words):
        read(**arguments)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_range_has_a_readable_number_of_bars(preset: str) -> None:
    window = preset_window(preset, ZONE, NOW)
    assert window.bucket_seconds in BUCKETS
    assert 10 <= window.length.total_seconds() / window.bucket_seconds <= MOST_BUCKETS


def test_the_window_before_touches_and_is_as_long() -> None:
    window = read()
    assert (window.before.end, window.before.length) == (window.start, window.length)


@pytest.mark.parametrize(
    "name", ["Nowhere/None", "Berlin", "europe/berlin", "localtime", "../../etc/passwd", "\0", "x" * 5000]
)
def test_a_zone_that_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(WindowInvalid, match="is no time zone"):
        zone_named(name)


def test_without_a_name_the_zone_is_utc() -> None:
    assert zone_named("").key == "UTC"

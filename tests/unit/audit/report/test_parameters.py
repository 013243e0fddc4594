from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audit.report.parameters import ParametersInvalid, read_parameters
from ringfence.errors import FilterInvalid
from tests.support.audit_sources import NOW, START


def test_nothing_asked_for_is_the_last_day() -> None:
    found = read_parameters({}, NOW)
    assert (found.start, found.end, str(found.zone)) == (NOW - timedelta(hours=24), NOW, "UTC")
    assert found.filter is None


def test_moments_without_an_offset_are_in_the_zone() -> None:
    found = read_parameters(
        {"start": "2026-11-24T09:00", "end": "2026-11-24T09:30+00:00", "zone": "Europe/Berlin"}, NOW
    )
    assert found.start == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    assert found.end == datetime(2026, 11, 24, 9, 0, 30, tzinfo=UTC)


def test_other_names_are_understood() -> None:
    found = read_parameters({"from": START.isoformat(), "to": NOW, "timezone": "UTC", "q": "verdict: denied"}, NOW)
    assert found.start == START and found.filter_text == "verdict: denied" and found.filter is not None


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"start": "2026-11-24T08:00", "end": "2026-11-24T07:00"}, "before it begins"),
        ({"start": "2026-11-24T08:00", "end": "2026-11-24T08:00"}, "before it begins"),
        ({"start": "2020-01-01"}, "longer than 400 days"),
        ({"start": "2030-01-01", "end": "2030-01-02"}, "in the future"),
        ({"start": "yesterday"}, "no moment"),
        ({"start": "9999-12-31T23:59:59"}, "out of reach"),
        ({"start": "0001-01-01T00:00+14:00"}, "moment"),
        ({"zone": "Mars/Olympus"}, "no time zone"),
        ({"zone": "../../etc/passwd"}, "no time zone"),
        ({"colour": "red"}, "no parameter colour"),
        ({"filter": ["x"]}, "is not text"),
        ({"start": True}, "is not text"),
        ({"group_by": "a\0b"}, "is no label"),
        ({"group_by": "a\ud800"}, "is no label"),
        ({"group_by": "a" * 257}, "is no label"),
    ],
)
def test_what_is_impossible_is_refused_in_words(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ParametersInvalid, match=word):
        read_parameters(given, NOW)


def test_a_bad_filter_says_where() -> None:
    with pytest.raises(FilterInvalid) as caught:
        read_parameters({"filter": "nonsense_field: 3"}, NOW)
    assert caught.value.offset == 0

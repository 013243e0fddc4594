"""How figures are written."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from web import words

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "–"), (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (12_884_902, "12.3 MiB"),
     (1023 * 1024, "1023 KiB")],
)  # fmt: skip
def test_bytes_are_iec_and_unknown_is_never_zero(count: int | None, text: str) -> None:
    assert words.in_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.085, "85 ms"), (4.26, "4.3 s"), (134, "2 m 14 s"), (3600, "1 h"), (273_600, "3 d 4 h"),
     (-30, "-30 s")],
)  # fmt: skip
def test_durations_have_at_most_two_units(seconds: float | None, text: str) -> None:
    assert words.in_duration(seconds) == text


def test_times_leave_out_what_is_the_same_today() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert words.in_zone(NOW, ZoneInfo("UTC"), NOW) == "12:00:00"
    assert words.in_zone(NOW, berlin, NOW) == "13:00:00"
    assert words.in_zone(NOW.replace(day=2), ZoneInfo("UTC"), NOW) == "2 Mar 12:00:00"
    assert words.in_zone(NOW.replace(year=2025), ZoneInfo("UTC"), NOW) == "1 Mar 2025 12:00:00"
    assert words.in_full(NOW, berlin) == "2026-03-01 13:00:00.000000 CET"
    assert words.in_iso(NOW) == "2026-03-01T12:00:00Z"


def test_words_agree_with_their_number() -> None:
    assert words.plural(1, "flow") == "1 flow"
    assert words.plural(1204, "flow") == "1,204 flows"
    assert words.plural(2, "policy", "policies") == "2 policies"
    assert words.in_number(None) == "–"

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from audit.report.document import Cell, Kind
from audit.report.words import duration, in_words, size, visible
from tests.support.audit_sources import START


@pytest.mark.parametrize(
    ("cell", "kind", "words"),
    [
        (None, Kind.NUMBER, "–"),
        (1234567, Kind.NUMBER, "1,234,567"),
        (1.5, Kind.NUMBER, "1.50"),
        (True, Kind.TEXT, "yes"),
        (0, Kind.BYTES, "0 B"),
        (1536, Kind.BYTES, "1.5 KiB"),
        (134.2, Kind.SECONDS, "2 m 14 s"),
        (START, Kind.TIME, "2026-11-24 09:00:00"),
        ("plain", Kind.TEXT, "plain"),
    ],
)
def test_cells_in_words(cell: Cell, kind: Kind, words: str) -> None:
    assert in_words(cell, kind, ZoneInfo("Europe/Berlin")) == words


def test_sizes_and_durations() -> None:
    assert [size(count) for count in (1023, 1024, 1 << 20, 3 << 40, 5 << 50)] == [
        "1023 B", "1.0 KiB", "1.0 MiB", "3.0 TiB", "5,120.0 TiB",
    ]  # fmt: skip
    assert [duration(seconds) for seconds in (-1, 0.04, 9.94, 59.6, 3600, 90061)] == [
        "0 s", "0.0 s", "9.9 s", "1 m", "1 h", "1 d 1 h",
    ]  # fmt: skip


def test_what_cannot_be_seen_is_shown_as_an_escape() -> None:
    assert visible("a\u202eb\x00\n\u200bé") == "a\\u202eb\\x00\\n\\u200bé"
    assert visible("web-1 ünï") == "web-1 ünï"

"""The time range of a page, as the URL has it: a preset that ends now, or two moments; and the zone it is shown in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from ringfence.errors import RingfenceError

PRESETS: dict[str, tuple[str, timedelta]] = {
    "15m": ("15 min", timedelta(minutes=15)),
    "1h": ("1 h", timedelta(hours=1)),
    "24h": ("24 h", timedelta(hours=24)),
    "7d": ("7 d", timedelta(days=7)),
}
LAST = {"15m": "15 minutes", "1h": "hour", "24h": "24 hours", "7d": "7 days"}
DEFAULT = "1h"
LONGEST = timedelta(days=400)
YEARS = range(1970, 2262)
"""Moments that every store and every time zone can express: nanoseconds since 1970 in 64 bits end in 2262."""
BUCKETS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 7 * 86400)
MOST_BUCKETS = 120


class WindowInvalid(RingfenceError):
    """The time range, or its zone, is impossible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """[start, end) in UTC, shown in `zone`; `preset` None when both ends were given."""

    start: datetime
    end: datetime
    preset: str | None
    zone: ZoneInfo

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def words(self) -> str:
        """As the end of a sentence: `in the last hour`, `in the chosen time range`."""
        return f"in the last {LAST[self.preset]}" if self.preset else "in the chosen time range"

    @property
    def bucket_seconds(self) -> int:
        """The finest bucket that gives a readable number of bars."""
        seconds = self.length.total_seconds()
        return next((size for size in BUCKETS if seconds / size <= MOST_BUCKETS), BUCKETS[-1])

    @property
    def before(self) -> Window:
        """The window of the same length that ends where this one starts."""
        return Window(start=self.start - self.length, end=self.start, preset=None, zone=self.zone)


@cache
def zones() -> frozenset[str]:
    """Names of time zones that a browser knows as well: not those that mean this host's own, or none."""
    return frozenset(available_timezones()) - {"localtime", "Factory"}


def zone_named(name: str) -> ZoneInfo:
    """The time zone of a name such as `Europe/Berlin`, UTC without one.

    Raises:
        WindowInvalid: nobody knows it.
    """
    if name and name not in zones():
        raise WindowInvalid(f"“{name[:60]}” is no time zone: write it like Europe/Berlin or UTC")
    return ZoneInfo(name or "UTC")


def preset_window(preset: str, zone: ZoneInfo, now: datetime) -> Window:
    end = now + timedelta(seconds=1)
    return Window(start=end - PRESETS[preset][1], end=end, preset=preset, zone=zone)


def earliest(now: datetime) -> datetime:
    """The start of the longest range up to the moment, within the next hour, at which it is asked for."""
    return now - LONGEST + timedelta(hours=1)


def read_window(arguments: Mapping[str, str], zone: ZoneInfo, now: datetime, *, default: str = DEFAULT) -> Window:
    """The window that `range`, or `from` and `to`, ask for; moments without an offset are in `zone`.

    Raises:
        WindowInvalid: a moment cannot be read, the end is not after the start, or the range is longer than 400 days.
    """
    first, last = arguments.get("from", "").strip(), arguments.get("to", "").strip()
    if not first and not last:
        preset = arguments.get("range", "") or default
        if preset not in PRESETS:
            raise WindowInvalid(f"“{preset}” is no time range: use {', '.join(PRESETS)}, or from and to")
        return preset_window(preset, zone, now)
    start = read_moment(first, zone, "from") if first else None
    end = read_moment(last, zone, "to") if last else now + timedelta(seconds=1)
    start = start if start is not None else end - PRESETS[default][1]
    if start >= end:
        raise WindowInvalid("the time range ends before it starts" if start > end else "the time range is empty")
    if end - start > LONGEST:
        raise WindowInvalid(f"the time range is longer than {LONGEST.days} days")
    return Window(start=start, end=end, preset=None, zone=zone)


def read_moment(text: str, zone: ZoneInfo, name: str) -> datetime:
    """ISO 8601, or whole seconds since 1970; the result is in UTC.

    Raises:
        WindowInvalid: it is neither, or lies outside of `YEARS`.
    """
    try:
        moment = _moment(text, zone)
    except (ValueError, OverflowError, OSError):
        raise WindowInvalid(f"“{text[:60]}” ({name}) is no time: write it like 2026-11-24T09:30") from None
    if moment.year not in YEARS:
        raise WindowInvalid(f"“{text[:60]}” ({name}) is not between the years {YEARS[0]} and {YEARS[-1]}")
    return moment


def _moment(text: str, zone: ZoneInfo) -> datetime:
    if text.isascii() and text.isdecimal():
        return datetime.fromtimestamp(int(text), UTC)
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)

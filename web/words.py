"""How figures are written for people: one way for each kind, on every page, in every export of text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
UNITS_OF_TIME = (("d", 86400, 10**9), ("h", 3600, 24), ("m", 60, 60), ("s", 1, 60))
NOTHING = "–"


def in_bytes(count: int | None) -> str:
    """IEC units with three significant figures; a dash where the figure is not known (it is never shown as 0)."""
    if count is None:
        return NOTHING
    size, unit = float(count), 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{size:.3g} {UNITS[unit]}" if size < 999.5 else f"{size:.0f} {UNITS[unit]}"


def in_number(count: int | None) -> str:
    """Digits in groups of three, as 1,204."""
    return NOTHING if count is None else f"{count:,}"


def in_duration(length: timedelta | float | None) -> str:
    """The largest unit and the next one: `2 m 14 s`, `3 d 4 h`, `1 h`, `85 ms`."""
    if length is None:
        return NOTHING
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length)
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds < 1:
        return f"{sign}{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{sign}{seconds:.1f} s"
    rest = round(seconds)
    counts = [(rest // size % wrap, name) for name, size, wrap in UNITS_OF_TIME]
    first = next(index for index, (count, _) in enumerate(counts) if count)
    return sign + " ".join(f"{count} {name}" for count, name in counts[first : first + 2] if count)


def in_zone(moment: datetime, zone: ZoneInfo, now: datetime) -> str:
    """Date left out for the day of `now`, year for the year of `now`: `14:03:07`, `23 Nov 14:03:07`."""
    local, today = moment.astimezone(zone), now.astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    if local.year == today.year:
        return f"{local.day} {local:%b %H:%M:%S}"
    return f"{local.day} {local:%b %Y %H:%M:%S}"


def in_full(moment: datetime, zone: ZoneInfo) -> str:
    """Everything there is to say, for a title: `2026-11-24 14:03:07.123456 UTC`."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S.%f %Z}"


def in_iso(moment: datetime) -> str:
    """For programs: UTC with a Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plural(count: int, one: str, many: str = "") -> str:
    """`1 workload`, `2 workloads`, `1,204 flows`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"

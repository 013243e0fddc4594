"""Cells in words: times in the report's zone, bytes in IEC units, durations for people, nothing invisible."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from audit.report.document import Cell, Kind

UNKNOWN = "–"


def in_words(cell: Cell, kind: Kind, zone: ZoneInfo) -> str:
    """What stands in a table for people; a dash where nothing is known."""
    if cell is None:
        return UNKNOWN
    if isinstance(cell, datetime):
        return cell.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int | float):
        return _figure(cell, kind)
    return visible(cell)


def _figure(value: float, kind: Kind) -> str:
    if kind is Kind.BYTES:
        return size(int(value))
    if kind is Kind.SECONDS:
        return duration(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def size(count: int) -> str:
    """`1.5 MiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            return f"{count} B" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1024
    return f"{count} B"


def duration(seconds: float) -> str:
    """`2 m 14 s`; two units are enough."""
    if seconds < 0:
        return "0 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def visible(text: str) -> str:
    """Control, format and direction-changing characters shown as escapes, so that a name looks like what it is."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )

"""What one request looks at: the time range, the zone, the filter, and the moment it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import g, request

from web.address import RANGE, Address, read_address
from web.bar import FLOWS, Bar, Vocabulary, read_bar
from web.guard import services
from web.problems import Refused
from web.window import Window, WindowInvalid, preset_window, read_window, zone_named, zones

TYPED = 250
"""Characters of a wrong value that are repeated to the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """`window_error` not empty: the range that was asked for is impossible, and nothing may be shown for it."""

    address: Address
    now: datetime
    zone: ZoneInfo
    window: Window
    window_error: str
    bar: Bar

    @property
    def answerable(self) -> bool:
        """Whether both the range and the filter can be understood."""
        return not self.window_error and self.bar.valid


def scope(*, default_range: str = "1h", vocabulary: Vocabulary = FLOWS) -> Scope:
    """The scope of this request, read once; `vocabulary` is what the filter speaks of."""
    known: Scope | None = g.get("scope")
    if known is None:
        known = g.scope = _read(default_range, vocabulary)
    return known


def strict_scope(*, default_range: str = "1h", vocabulary: Vocabulary = FLOWS) -> Scope:
    """The scope for programs, exports and fragments.

    Raises:
        WindowInvalid: an impossible time range.
        Refused: 400 with the offset, for an invalid filter.
    """
    found = scope(default_range=default_range, vocabulary=vocabulary)
    if found.window_error:
        raise WindowInvalid(found.window_error)
    if not found.bar.valid:
        raise Refused(400, found.bar.error, offset=found.bar.offset, expected=list(found.bar.expected))
    return found


def _read(default_range: str, vocabulary: Vocabulary) -> Scope:
    address = read_address(request, default_range)
    now = services().clock()
    zone, error = _usual_zone(), ""
    try:
        zone = zone_named(address.one("tz")) if address.one("tz") else zone
        window = read_window({name: address.one(name)[:TYPED] for name in RANGE}, zone, now, default=default_range)
    except WindowInvalid as problem:
        window, error = preset_window(default_range, zone, now), str(problem)
    bar = read_bar(address.one("q"), address.all("off"), vocabulary)
    return Scope(address=address, now=now, zone=zone, window=window, window_error=error, bar=bar)


def _usual_zone() -> ZoneInfo:
    """The zone that this person chose before; UTC when nobody knows it any more."""
    name = request.cookies.get("tz", "")
    return zone_named(name if name in zones() else "")

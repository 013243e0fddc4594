"""Gaps: turns loss figures that only grow, and what is not seen for a while, into gap records.

Of a figure at most one per second and cause; of an outage one, which grows for as long as it lasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ringfence.metrics import EVENTS_LOST
from ringfence.model.gap import Gap, GapCause

SHORTEST = timedelta(seconds=1)
EXTEND_EVERY = timedelta(seconds=10)
"""A killed process leaves an outage untold for this long at most; there the gap of its own absence follows."""


@dataclass(slots=True)
class _Known:
    figure: int
    at: datetime


class Gaps:
    """Compares figures with those of the last time. The first figure of a cause is where counting starts."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._known: dict[tuple[GapCause, str], _Known] = {}
        self.lost: dict[GapCause, int] = {}
        """Records lost since the start, per cause."""

    def note(self, cause: GapCause, figure: int, now: datetime, *, source: str = "", detail: str = "") -> Gap | None:
        """The gap since the last call when the figure has grown, else None.

        `source` tells figures of one cause apart (a socket that was opened anew starts again at 0: give it a new one
        or let the figure fall; a fall counts as a new start). No gap comes sooner than a second after the last look.
        """
        known = self._known.get((cause, source))
        if known is None or figure < known.figure:
            known = self._known[cause, source] = _Known(0 if known else figure, now if known is None else known.at)
        # The clock may have been set back.
        lost, started = figure - known.figure, min(known.at, now)
        if lost and timedelta(0) <= now - known.at < SHORTEST:
            return None
        self._known[cause, source] = _Known(figure, now)
        if not lost:
            return None
        self.lost[cause] = self.lost.get(cause, 0) + lost
        EVENTS_LOST.labels(cause=cause.value).inc(lost)
        return Gap(
            id=f"{self._host}:{cause.value}:{source}:{now.isoformat()}",
            host=self._host,
            started=started,
            ended=now,
            cause=cause,
            lost=lost,
            detail=detail,
        )


@dataclass(slots=True)
class _Outage:
    started: datetime
    told: datetime
    detail: str


class Outages:
    """Windows in which nothing can be seen of a source. A gap keeps its id while it grows: stores replace it."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._open: dict[tuple[GapCause, str], _Outage] = {}

    def note(self, failing: Mapping[tuple[GapCause, str], str], now: datetime) -> list[Gap]:
        """Gaps that began, grew or ended. `failing`: (cause, source) -> why, all that are not seen now."""
        found = []
        for key, why in failing.items():
            outage = self._open.setdefault(key, _Outage(now, now, ""))
            if outage.detail != why or now - outage.told >= EXTEND_EVERY:
                outage.detail, outage.told = why, now
                found.append(self._gap(key, outage, now))
        for key in set(self._open) - set(failing):
            found.append(self._gap(key, self._open.pop(key), now))
        return found

    def _gap(self, key: tuple[GapCause, str], outage: _Outage, now: datetime) -> Gap:
        cause, source = key
        return Gap(
            id=f"{self._host}:{cause.value}:{source}:{outage.started.isoformat()}",
            host=self._host,
            started=outage.started,
            # The clock may have been set back.
            ended=max(now, outage.started),
            cause=cause,
            detail=outage.detail,
        )

"""Gaps: turns loss figures that only grow into gap records, at most one per second and cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ringfence.metrics import EVENTS_LOST
from ringfence.model.gap import Gap, GapCause

SHORTEST = timedelta(seconds=1)


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
        lost, started = figure - known.figure, known.at
        if lost and now - started < SHORTEST:
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

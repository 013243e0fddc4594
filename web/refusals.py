"""Refusals counted for the audit log: whoever keeps asking for what they may not have fills no log."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

EVERY = timedelta(minutes=1)


@dataclass(slots=True, kw_only=True)
class Tally:
    """Refusals of one user at one route since `since` that were not recorded one by one."""

    user: str
    route: str
    origin: str
    since: datetime
    times: int = 0


class Refusals:
    """Counts per user and route. The first is recorded by itself, further ones within a minute as one number.

    Thread-safe. A number is handed out with the first request after its minute, whoever sends it; the one of the last
    minute before the process ends is lost.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: dict[Hashable, Tally] = {}

    def first(self, user: str, route: str, origin: str, now: datetime) -> bool:
        """Whether this refusal is to be recorded; otherwise it was counted."""
        with self._lock:
            tally = self._tallies.get((user, route))
            if tally is None:
                self._tallies[user, route] = Tally(user=user, route=route, origin=origin, since=now)
                return True
            tally.times += 1
            tally.origin = origin
            return False

    def due(self, now: datetime) -> list[Tally]:
        """The tallies whose minute is over, each handed out once; those that counted nothing are forgotten."""
        if not self._tallies:
            return []
        with self._lock:
            over = [key for key, tally in self._tallies.items() if now - tally.since >= EVERY]
            return [tally for tally in map(self._tallies.pop, over) if tally.times]

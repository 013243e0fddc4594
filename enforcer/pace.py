"""How often a namespace is written to when somebody else keeps changing it, or when writing keeps failing. Pure."""

from __future__ import annotations

from collections import deque

FIGHT_REPAIRS = 10
"""So many repairs within `FIGHT_SECONDS` are a fight: repairs become rare and the status says so."""
FIGHT_SECONDS = 60.0
FIGHT_PAUSE = 4.0
"""Still within the five seconds in which a change is promised to be repaired."""
FIRST_RETRY, LAST_RETRY = 0.5, 60.0


class Pace:
    """Times are seconds of any steadily growing clock."""

    def __init__(self) -> None:
        self._repairs: deque[float] = deque(maxlen=FIGHT_REPAIRS)
        self._failures = 0
        self._not_before = 0.0

    def repaired(self, now: float) -> None:
        """A change by somebody else was put back."""
        self._repairs.append(now)
        if self.fighting(now):
            self._not_before = now + FIGHT_PAUSE

    def failed(self, now: float) -> None:
        """A write failed: the next attempt comes after 0.5 s, doubling up to a minute."""
        self._not_before = now + min(LAST_RETRY, FIRST_RETRY * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)

    def succeeded(self) -> None:
        """What should hold does hold."""
        self._failures = 0

    @property
    def failing(self) -> bool:
        return self._failures > 0

    def fighting(self, now: float) -> bool:
        """Whether somebody changes our rules again and again."""
        return len(self._repairs) == FIGHT_REPAIRS and now - self._repairs[0] <= FIGHT_SECONDS

    def wait(self, now: float) -> float:
        """Seconds until the next write is allowed; 0: now."""
        return max(0.0, self._not_before - now)

"""Cadence: when the collector's next tick is due. Regular, and soon after something was denied.

A flow is written one tick after it was born. At a tick per second that is two seconds too late to contain who scans, so
a denied packet brings two ticks near: one takes it up, the next writes it. No clock in here.
"""

from __future__ import annotations

SOON = 0.1
"""Seconds from a denied packet to the tick that takes it up, and from that to the one that writes it."""
CALM = 0.5
"""Seconds between the end of one hurry and the next: steady denials must not cost more than these ticks."""
_HURRIED = 2


class Cadence:
    """Moments are seconds of a monotonic clock."""

    def __init__(self, seconds: float, now: float) -> None:
        """`seconds`: between regular ticks."""
        self._seconds, self._soon = seconds, min(SOON, seconds)
        self._due, self._calm = now + seconds, now
        self._left, self._round = 0, now

    @property
    def hurried(self) -> bool:
        """Whether the next tick was brought near: denied packets that come meanwhile change nothing."""
        return self._left > 0

    def wait(self, now: float) -> float:
        """Seconds until the next tick."""
        return max(0.0, self._due - now)

    def hurry(self, now: float) -> None:
        """Something was denied."""
        if not self._left:
            self._left = _HURRIED
            self._due = min(self._due, max(now, self._calm) + self._soon)

    def within_round(self, now: float) -> bool:
        """Whether the next tick comes before a whole round is over: what waits for some rounds must not age by it."""
        return self._left > 0 and now - self._round < self._seconds

    def ticked(self, now: float) -> None:
        """The tick that was due is over."""
        if not self.within_round(now):
            self._round = now
        hurried, self._left = self._left, max(0, self._left - 1)
        if hurried and not self._left:
            self._calm = now + min(CALM, self._seconds)
        self._due = max(self._due + (self._soon if self._left else self._seconds), now)

"""Losses: all that a collector missed, as gap records that wait for the next batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime

from collector.aggregate import Aggregator
from collector.gaps import Gaps, Outages
from collector.kernel import Kernel
from ringfence.clock import Clock
from ringfence.metrics import EVENTS_UNREADABLE
from ringfence.model.gap import Gap, GapCause

CROWDED = "attempts"
COUNTED = (
    (GapCause.SOCKET_OVERRUN, ""),
    (GapCause.LOG_OVERRUN, ""),
    (GapCause.LOG_OVERRUN, CROWDED),
    (GapCause.UNREADABLE, ""),
)
"""The figures of loss, by cause and source."""


class Losses:
    """`add` and `lost` may be used from any thread, the rest belongs to the tick."""

    def __init__(self, host: str, clock: Clock) -> None:
        self._host, self._clock = host, clock
        self._gaps, self._outages = Gaps(host), Outages(host)
        self._waiting: deque[Gap] = deque()
        self._unreadable = 0
        self._denied_of: dict[int, int] = {}
        self._denied = 0

    @property
    def lost(self) -> dict[str, int]:
        """Records lost since the start, per cause."""
        return {cause.value: lost for cause, lost in dict(self._gaps.lost).items()}

    def add(self, gap: Gap) -> None:
        self._waiting.append(gap)

    def take(self) -> list[Gap]:
        """What waits, oldest first; the caller's from then on."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def put_back(self, gaps: Iterable[Gap]) -> None:
        self._waiting.extendleft(reversed(list(gaps)))

    def begin(self) -> None:
        """All figures stand at 0 now: what the first look finds was lost since."""
        for cause, source in COUNTED:
            self._gaps.note(cause, 0, self._clock(), source=source)

    def read(self, kernel: Kernel, aggregator: Aggregator | None) -> None:
        """Look at every figure. One that cannot be read now only grows: the next look finds it."""
        now = self._clock()
        EVENTS_UNREADABLE.inc(max(0, kernel.listener.unreadable - self._unreadable))
        self._unreadable = kernel.listener.unreadable
        figures = (
            kernel.listener.lost(),
            self._denied_lost(kernel),
            aggregator.unfollowed if aggregator is not None else 0,
            kernel.listener.unreadable + kernel.denied.unreadable,
        )
        for (cause, source), figure in zip(COUNTED, figures, strict=True):
            detail = "packets of more denied attempts than are followed at once" if source == CROWDED else ""
            gap = self._gaps.note(cause, figure, now, source=source, detail=detail)
            if gap is not None:
                self.add(gap)

    def note_outages(self, failing: Mapping[tuple[GapCause, str], str]) -> None:
        """See `Outages.note`."""
        self._waiting.extend(self._outages.note(failing, self._clock()))

    def note_failed(self, lost: int, what: str, since: datetime | None) -> None:
        """A tick failed on so many records, which had come since then."""
        now = self._clock()
        if lost:
            gap = Gap(
                id=f"{self._host}:tick:{what}:{now.isoformat()}",
                host=self._host,
                started=min(since or now, now),
                ended=now,
                cause=GapCause.UNREADABLE,
                lost=lost,
                detail=f"{what} in one tick",
            )
            self.add(gap)

    def _denied_lost(self, kernel: Kernel) -> int:
        """All that was ever lost: a namespace's figure goes away with it, its losses do not."""
        for inode, lost in kernel.denied.lost().items():
            before = self._denied_of.get(inode, 0)
            self._denied += max(0, lost - before)
            self._denied_of[inode] = lost
        return self._denied


def unseen(kernel: Kernel | None, limit: str) -> dict[tuple[GapCause, str], str]:
    """What cannot be seen now, and why; `limit` is the reason where nothing can be."""
    if kernel is None:
        return {(GapCause.NOT_CAPTURED, ""): limit}
    silent = {inode: "; ".join(item.problems) for inode, item in dict(kernel.impaired).items() if not item.events}
    return {(GapCause.NAMESPACE, str(inode)): why for inode, why in (silent | dict(kernel.failures)).items()}


def obstacles(kernel: Kernel, names: Mapping[int | None, str]) -> list[str]:
    """Sentences on what is not seen, or only in part; `names`: of the workloads, by the inode of their namespace."""
    whole = [f"{names.get(inode, inode)} is not observed: {why}" for inode, why in dict(kernel.failures).items()]
    return whole + [
        f"{names.get(inode, inode)} is observed in part: {'; '.join(readiness.problems)}"
        for inode, readiness in dict(kernel.impaired).items()
    ]

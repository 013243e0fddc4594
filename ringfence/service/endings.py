"""Endings: the store's workloads that run no more and whose end nobody told it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime

from ringfence.clock import Clock
from ringfence.model.workload import Workload
from ringfence.store.state import Workloads


class Endings:
    """Ends what ended while Ringfence was down, or the store away for longer than ended runs are remembered."""

    def __init__(
        self,
        *,
        workloads: Workloads,
        runs: Callable[[], Sequence[Workload]],
        hosts: Callable[[], Collection[str]],
        clock: Clock,
    ) -> None:
        """`runs`: all that are known, ended ones of late included; `hosts`: those that `runs` is complete for."""
        self._workloads, self._runs, self._hosts, self._clock = workloads, runs, hosts, clock

    def step(self) -> None:
        # The store is asked first: a run that begins meanwhile is not in its answer, and so not taken for ended.
        stored = self._workloads.current()
        hosts = self._hosts()
        known = {(item.id, item.started): item for item in self._runs()}
        ended = []
        for item in stored:
            if item.host in hosts:
                now = known.get((item.id, item.started)) or _ended(item, self._clock())
                if not now.running:
                    ended.append(now)
        self._workloads.save(ended)


def _ended(item: Workload, seen: datetime) -> Workload:
    """When it ended nobody saw; it was then at the latest."""
    end = max(seen, item.started)
    parts = tuple(part if part.until else replace(part, until=end) for part in item.attachments)
    return replace(item, ended=end, attachments=parts, pid=None, netns_path=None)

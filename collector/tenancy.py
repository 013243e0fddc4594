"""Tenancy: whose a namespace, or a slot in the mark, was at a given time.

The kernel hands out the inode of a namespace again seconds after its end, the enforcer a slot at once. What began under
the number belongs to the run that had it then, however late it is written.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from collector.inventory import precedence
from ringfence.model.workload import Workload

EARLY_NS = 1_000_000_000
"""A first packet may precede the moment at which the engine says that a container started."""
LATE_NS = 1_000_000_000
"""A last packet is dated when it was read, which may be after the end."""
FOREVER = 1 << 62
"""Later than all times, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Tenancy:
    """`tenants[i]` has the number from `edges[i]` (nanoseconds) until the next edge; None: nobody, or nobody knows."""

    edges: tuple[int, ...]
    tenants: tuple[Workload | None, ...]

    def at(self, moment: int) -> tuple[Workload | None, int, int]:
        """The tenant and the time [from, until) in which the answer holds; all in nanoseconds, from 0 on."""
        place = max(bisect_right(self.edges, moment) - 1, 0)
        until = self.edges[place + 1] if place + 1 < len(self.edges) else FOREVER
        return self.tenants[place], self.edges[place], until


@dataclass(frozen=True, slots=True)
class _Spell:
    run: Workload
    since: int
    until: int
    sure: bool  # within the run as it is told


def tenancy(runs: Sequence[Workload], otherwise: Workload | None = None) -> Tenancy:
    """Who of these had the number when; `otherwise` at times of which none of them tells."""
    spells = [spell for run in runs for spell in _spells(run)]
    turns = sorted([(spell.since, spell) for spell in spells] + [(spell.until, spell) for spell in spells], key=_time)
    edges: list[int] = [0]
    tenants: list[Workload | None] = [otherwise]
    active: dict[int, _Spell] = {}
    for moment, group in groupby(turns, key=_time):
        for _, spell in group:
            if active.pop(id(spell), None) is None:
                active[id(spell)] = spell
        tenant = _tenant(active.values()) if active else otherwise
        if tenant is not tenants[-1]:
            edges.append(moment)
            tenants.append(tenant)
    return Tenancy(tuple(edges), tuple(tenants))


def apart(left: Workload, right: Workload) -> bool:
    """Whether one was over when the other began: then they cannot have shared what both had."""
    first, second = sorted((left, right), key=lambda run: run.started)
    return first.id != second.id and first.ended is not None and first.ended <= second.started


def nanoseconds(moment: datetime) -> int:
    """Since the epoch."""
    return int(moment.timestamp() * 1_000_000) * 1000


def _spells(run: Workload) -> Iterator[_Spell]:
    since = nanoseconds(run.started)
    until = nanoseconds(run.ended) if run.ended else FOREVER
    yield _Spell(run, max(since - EARLY_NS, 0), since, sure=False)
    if since < until:
        yield _Spell(run, since, until, sure=True)
    if run.ended:
        yield _Spell(run, until, until + LATE_NS, sure=False)


def _time(turn: tuple[int, _Spell]) -> int:
    return turn[0]


def _tenant(active: Collection[_Spell]) -> Workload | None:
    sure = [spell.run for spell in active if spell.sure]
    likely = sure or [spell.run for spell in active]
    found = max(likely, key=precedence)
    # One's last packets or the next one's first: nobody can tell.
    return None if not sure and any(apart(found, other) for other in likely) else found

"""Two windows compared: which connections are new or gone, and how far that can be said at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from audit.report.completeness import FLOWS, unrecorded
from ringfence.model.gap import Gap
from ringfence.store.flows import FlowReader
from ringfence.store.state import State
from web.bar import Bar
from web.edges import Edge, compared, edges_of
from web.flow_questions import gaps_in, query_of
from web.window import Window


class Watched(StrEnum):
    """How much of a window is on record, beside gaps."""

    NO = "no"
    PARTLY = "partly"
    WHOLLY = "wholly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Edges with their change; without any change when the window `before` was not watched.

    `gaps` are those of both windows, `unrecorded` says why else not all of them is on record. `complete` False: one of
    them has more kinds of connections than were grouped.
    """

    edges: tuple[Edge, ...]
    before: Window
    watched: Watched
    unrecorded: tuple[str, ...]
    complete: bool
    gaps: tuple[Gap, ...]

    @property
    def new(self) -> tuple[Edge, ...]:
        return tuple(edge for edge in self.edges if edge.change == "new")

    @property
    def sure(self) -> bool:
        """Whether `new` and `gone` mean what they say."""
        return self.watched is Watched.WHOLLY and self.complete and not self.gaps


def compare(state: State, flows: FlowReader, window: Window, before: Window, bar: Bar) -> Comparison:
    """What one filter selects in two windows."""
    now, former = (edges_of(flows, query_of(item, bar)) for item in (window, before))
    watched = watched_in(state, before, window.end)
    gaps = {gap.id: gap for item in (before, window) for gap in gaps_in(flows, item)}
    return Comparison(
        edges=now.edges if watched is Watched.NO else compared(now, former),
        before=before,
        watched=watched,
        unrecorded=tuple(unrecorded(state, before.start, window.end)),
        complete=now.complete and former.complete,
        gaps=tuple(gaps.values()),
    )


def watched_in(state: State, window: Window, until: datetime) -> Watched:
    """Whether every host was heard from the start of a window on, one of them in it, or none; what was deleted is as
    if nobody had watched, and what waits in a spool, up to `until`, as if its host had not been heard.
    """
    if not unrecorded(state, window.start, until):
        return Watched.WHOLLY
    deleted = state.deletions.before(FLOWS)
    kept = deleted is None or deleted < window.end
    heard = any(item.first_heard is not None and item.first_heard < window.end for item in state.hosts.list())
    return Watched.PARTLY if kept and heard else Watched.NO

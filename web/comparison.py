"""Two windows compared: which connections are new or gone, and how far that can be said at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from ringfence.model.gap import Gap
from ringfence.store.flows import FlowQuery, FlowReader
from web.bar import Bar, read_bar
from web.edges import Edge, compared, edges_of
from web.flow_questions import gaps_in, query_of
from web.window import Window

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
WATCHED = "not origin: pcap"
"""An imported capture says nothing about whether anybody watched at its time."""


class Watched(StrEnum):
    """How much of a window lies after the first record there is: before it nobody watched, and no gap says so."""

    NO = "no"
    PARTLY = "partly"
    WHOLLY = "wholly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Edges with their change; without any change when the window `before` was not watched.

    `gaps` are those of both windows. `complete` False: one of them has more kinds of connections than were grouped.
    """

    edges: tuple[Edge, ...]
    before: Window
    watched: Watched
    complete: bool
    gaps: tuple[Gap, ...]

    @property
    def new(self) -> tuple[Edge, ...]:
        return tuple(edge for edge in self.edges if edge.change == "new")

    @property
    def sure(self) -> bool:
        """Whether `new` and `gone` mean what they say."""
        return self.watched is Watched.WHOLLY and self.complete and not self.gaps


def compare(flows: FlowReader, window: Window, before: Window, bar: Bar) -> Comparison:
    """What one filter selects in two windows."""
    now, former = (edges_of(flows, query_of(item, bar)) for item in (window, before))
    watched = watched_in(flows, before)
    gaps = {gap.id: gap for item in (before, window) for gap in gaps_in(flows, item)}
    return Comparison(
        edges=now.edges if watched is Watched.NO else compared(now, former),
        before=before,
        watched=watched,
        complete=now.complete and former.complete,
        gaps=tuple(gaps.values()),
    )


def watched_in(flows: FlowReader, window: Window) -> Watched:
    """Whether the first record lies before a window, in it or after it."""
    earlier = FlowQuery(start=BEGINNING, end=window.start, filter=read_bar(WATCHED).filter)
    if flows.search(earlier, limit=1).total:
        return Watched.WHOLLY
    within = FlowQuery(start=window.start, end=window.end)
    return Watched.PARTLY if flows.search(within, limit=1).total else Watched.NO

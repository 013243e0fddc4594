"""Overview: is anything wrong, and is the picture complete?"""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint

from ringfence.model.finding import FindingState
from ringfence.store.flows import FlowQuery
from web.bar import Bar
from web.edges import compared, edges_of
from web.estate import estate_of, is_calm, status_sentence
from web.flow_questions import bars_of, gaps_in
from web.guard import services
from web.render import page
from web.scope import scope

blueprint = Blueprint("overview", __name__)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SHOWN = 8
RANGE = "24h"


@blueprint.get("/")
def show() -> tuple[str, int]:
    found = scope(default_range=RANGE)
    given = services()
    estate = estate_of(given.state, found.now)
    recent = given.flows.gaps(found.now - HOUR, found.now + timedelta(seconds=1))
    gaps = gaps_in(given.flows, found.window)
    today = edges_of(given.flows, FlowQuery(start=found.now - DAY, end=found.now + timedelta(seconds=1)))
    yesterday = edges_of(given.flows, FlowQuery(start=found.now - 2 * DAY, end=found.now - DAY))
    current = edges_of(given.flows, FlowQuery(start=found.window.start, end=found.window.end))
    talkers = sorted(current.edges, key=lambda edge: -edge.bytes)[:SHOWN]
    new = [edge for edge in compared(today, yesterday) if edge.change == "new"]
    return page(
        "pages/overview.html",
        default_range=RANGE,
        estate=estate,
        sentence=status_sentence(estate, recent),
        calm=is_calm(estate, recent),
        bars=bars_of(given.flows, found.window, Bar(text=""), gaps),
        gaps=gaps,
        findings=given.state.findings.list(state=FindingState.OPEN, limit=SHOWN),
        new_edges=new[:SHOWN],
        new_count=len(new),
        first_day=not yesterday.edges,
        talkers=[edge for edge in talkers if edge.bytes],
        most=max((edge.bytes for edge in talkers), default=0),
    ), 400 if found.window_error else 200

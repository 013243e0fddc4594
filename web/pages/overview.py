"""Overview: is anything wrong, and is the picture complete?"""

from __future__ import annotations

from flask import Blueprint

from audit.report.completeness import unrecorded
from ringfence.model.finding import FindingState
from web.bar import Bar
from web.comparison import compare
from web.edges import edges_of
from web.estate import estate_of, is_calm, status_sentence
from web.flow_questions import bars_of, gaps_in, query_of
from web.guard import services
from web.render import page
from web.scope import scope
from web.window import preset_window

blueprint = Blueprint("overview", __name__)
SHOWN = 8
RANGE = "24h"


@blueprint.get("/")
def show() -> tuple[str, int]:
    found = scope(default_range=RANGE)
    given = services()
    estate = estate_of(given.state, found.now)
    gaps = gaps_in(given.flows, found.window)
    missing = unrecorded(given.state, found.window.start, found.window.end)
    today = preset_window("24h", found.zone, found.now)
    days = compare(given.state, given.flows, today, today.before, Bar(text=""))
    current = edges_of(given.flows, query_of(found.window, Bar(text="")))
    talkers = sorted(current.edges, key=lambda edge: -edge.bytes)[:SHOWN]
    return page(
        "pages/overview.html",
        default_range=RANGE,
        estate=estate,
        sentence=status_sentence(estate, gaps, missing, found.window),
        calm=is_calm(estate, gaps, missing),
        bars=bars_of(given.flows, found.window, Bar(text=""), gaps),
        gaps=gaps,
        findings=given.state.findings.list(state=FindingState.OPEN, limit=SHOWN),
        days=days,
        shown=SHOWN,
        talkers=[edge for edge in talkers if edge.bytes],
        most=max((edge.bytes for edge in talkers), default=0),
    ), 400 if found.window_error else 200

"""Health: can I trust what I see?"""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint

from audit.report.completeness import unrecorded
from ringfence.model.enforcement import EnforcementState
from ringfence.model.gap import Gap
from web.download import Table, in_columns, offer
from web.estate import STALE, estate_of, proofs_of, staleness
from web.figures import figures, sentences
from web.flow_questions import gaps_if_known, gaps_in
from web.guard import services
from web.render import page
from web.scope import scope, strict_scope
from web.sorting import Keys

blueprint = Blueprint("health", __name__)
RANGE = "24h"
COLUMNS: Keys[Gap] = {
    "cause": lambda gap: gap.cause,
    "host": lambda gap: gap.host,
    "started": lambda gap: gap.started,
    "ended": lambda gap: gap.ended,
    "seconds": lambda gap: (gap.ended - gap.started).total_seconds(),
    "lost": lambda gap: gap.lost,
    "detail": lambda gap: gap.detail,
}


@blueprint.get("/health")
def show() -> tuple[str, int]:
    found = scope(default_range=RANGE)
    given = services()
    found_gaps = gaps_if_known(given.flows, found.window)
    gaps = found_gaps or ()
    proofs = proofs_of(given.state)
    names = {item.id: item.name for item in given.state.workloads.current()}
    known = [gap.lost for gap in gaps if gap.lost is not None]
    return page(
        "pages/health.html",
        default_range=RANGE,
        estate=estate_of(given.state, found.now),
        hosts=[(host, staleness(host, found.now)) for host in given.state.hosts.list()],
        figures=figures,
        sentences=sentences,
        stale_after=STALE,
        gaps=gaps,
        gaps_known=found_gaps is not None,
        unrecorded=unrecorded(given.state, found.window.start, found.window.end),
        lost=sum(known),
        uncounted=len(gaps) - len(known),
        missing=sum((gap.ended - gap.started for gap in gaps), timedelta()),
        troubled=[item for item in proofs if item.state not in (EnforcementState.IN_FORCE, EnforcementState.OFF)],
        drifted=[item for item in proofs if item.drifts],
        proofs=proofs,
        names=names,
        status=given.status(),
    ), 400 if found.window_error else 200


def table() -> Table:
    """The gaps of the time range, newest first; `lost` empty where nobody can know."""
    found = strict_scope(default_range=RANGE)
    gaps = gaps_in(services().flows, found.window)[::-1]
    return Table(
        what="gaps",
        columns=tuple(COLUMNS),
        rows=in_columns(gaps, COLUMNS),
        count=len(gaps),
        window=found.window,
        notes=unrecorded(services().state, found.window.start, found.window.end),
    )


offer(blueprint, "/health/gaps", table)

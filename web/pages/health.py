"""Health: can I trust what I see?"""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint

from audit.report.completeness import unrecorded
from ringfence.model.enforcement import EnforcementState
from web.estate import STALE, estate_of, staleness
from web.figures import figures, sentences
from web.flow_questions import gaps_in
from web.guard import services
from web.render import page
from web.scope import scope

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def show() -> tuple[str, int]:
    found = scope(default_range="24h")
    given = services()
    gaps = gaps_in(given.flows, found.window)
    proofs = given.state.enforcements.list()
    names = {item.id: item.name for item in given.state.workloads.current()}
    known = [gap.lost for gap in gaps if gap.lost is not None]
    return page(
        "pages/health.html",
        default_range="24h",
        estate=estate_of(given.state, found.now),
        hosts=[(host, staleness(host, found.now)) for host in given.state.hosts.list()],
        figures=figures,
        sentences=sentences,
        stale_after=STALE,
        gaps=gaps,
        unrecorded=unrecorded(given.state, found.window.start),
        lost=sum(known),
        uncounted=len(gaps) - len(known),
        missing=sum((gap.ended - gap.started for gap in gaps), timedelta()),
        troubled=[item for item in proofs if item.state not in (EnforcementState.IN_FORCE, EnforcementState.OFF)],
        drifted=[item for item in proofs if item.drifts],
        proofs=proofs,
        names=names,
        status=given.status(),
    ), 400 if found.window_error else 200

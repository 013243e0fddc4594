"""Quarantine: who is isolated, is it true, and how do I undo it?"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from itertools import islice

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from ringfence.errors import NotFound, RingfenceError
from ringfence.model.quarantine import Quarantine
from ringfence.store.flows import FlowQuery
from web.bar import read_bar
from web.download import Table, in_columns, offer
from web.edges import edges_of
from web.guard import actor, services
from web.ordering import DURATIONS, read_access, read_expiry, read_reason
from web.problems import in_words, status_of
from web.render import page
from web.sorting import Keys
from web.tokens import term

blueprint = Blueprint("quarantine", __name__)
WEEK = timedelta(days=7)
FORMER = 200
"""Released ones on the page."""
MOST = 100_000
BATCH = 500
COLUMNS: Keys[Quarantine] = {
    "id": lambda item: item.id,
    "state": lambda item: "releasing" if item.active and item.released else item.state,
    "workload": lambda item: item.workload,
    "workload_name": lambda item: item.workload_name,
    "reason": lambda item: item.reason,
    "author": lambda item: item.author,
    "checks": lambda item: len(item.proof.checks) if item.proof else None,
    "checks_passed": lambda item: sum(check.passed for check in item.proof.checks) if item.proof else None,
    "created": lambda item: item.created,
    "expires": lambda item: item.expires,
    "released": lambda item: item.released,
    "released_by": lambda item: item.released_by,
}


@blueprint.get("/quarantine")
def show() -> str:
    active = services().state.quarantines.active()
    former = list(islice(_former(active), FORMER + 1))
    return page(
        "pages/quarantines.html",
        active=active,
        former=former[:FORMER],
        more=len(former) > FORMER,
    )


def table() -> Table:
    """Both lists of the page, one after the other: those that hold, then the released ones, all of them."""
    active = services().state.quarantines.active()
    items = [*active, *islice(_former(active), MOST + 1)]
    notes = [] if len(items) <= MOST else [f"only the first {MOST} quarantines are in this file"]
    return Table(
        what="quarantines",
        columns=tuple(COLUMNS),
        rows=in_columns(items[:MOST], COLUMNS),
        count=len(items[:MOST]),
        notes=notes,
    )


offer(blueprint, "/quarantine", table)


def _former(active: Collection[Quarantine]) -> Iterator[Quarantine]:
    """The released ones, newest first, read as far as they are wanted; without those that were active a moment ago."""
    told = {item.id for item in active}
    after: tuple[datetime, str] | None = None
    while found := services().state.quarantines.list(limit=BATCH, after=after):
        yield from (item for item in found if not item.active and item.id not in told)
        after = found[-1].created, found[-1].id


@blueprint.get("/quarantine/<quarantine_id>")
def one(quarantine_id: str) -> str:
    return page("pages/quarantine.html", item=_quarantine(quarantine_id), error="", typed="")


@blueprint.get("/quarantine/plan/<workload_id>")
def plan(workload_id: str) -> str:
    return _plan(workload_id)


@blueprint.post("/quarantine/plan/<workload_id>")
def order(workload_id: str) -> Response | tuple[str, int]:
    form = request.form
    try:
        reason = read_reason(form.get("reason", ""))
        expires = read_expiry(form.get("duration", ""), services().clock())
        access = read_access(form.get("access", ""))
        made = services().actions.quarantine(
            workload=workload_id, reason=reason, actor=actor(), expires=expires, access=access
        )
    except RingfenceError as error:
        return _plan(workload_id, error=in_words(error), typed=form.to_dict()), status_of(error)
    return redirect(f"/quarantine/{made.id}", code=303)


@blueprint.post("/quarantine/<quarantine_id>/release")
def release(quarantine_id: str) -> Response | tuple[str, int]:
    typed = request.form.get("reason", "")
    try:
        made = services().actions.release(quarantine=quarantine_id, reason=read_reason(typed), actor=actor())
    except RingfenceError as error:
        found = _quarantine(quarantine_id)
        return page("pages/quarantine.html", item=found, error=in_words(error), typed=typed), status_of(error)
    return redirect(f"/quarantine/{made.id}", code=303)


def _quarantine(quarantine_id: str) -> Quarantine:
    found = services().state.quarantines.get(quarantine_id)
    if found is None:
        raise NotFound("no such quarantine")
    return found


def _plan(workload_id: str, *, error: str = "", typed: dict[str, str] | None = None) -> str:
    given = services()
    found = given.actions.plan_quarantine(workload_id)
    now = given.clock()
    week = FlowQuery(start=now - WEEK, end=now, filter=read_bar(term("workload", workload_id)).filter)
    answer = edges_of(given.flows, week)
    edges = answer.edges
    template = "fragments/quarantine_plan.html" if request.headers.get("HX-Request") else "pages/quarantine_plan.html"
    return page(
        template,
        plan=found,
        edges=edges[:8],
        peers=len({edge.key for edge in edges}),
        flows=sum(edge.flows for edge in edges),
        complete=answer.complete,
        gaps=given.flows.gaps(week.start, week.end),
        since=week.start,
        durations=DURATIONS,
        error=error,
        typed=typed or {},
    )

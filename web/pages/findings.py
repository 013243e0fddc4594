"""Findings: what must I act on?"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, jsonify, redirect, request
from werkzeug.wrappers import Response

from audit.report.completeness import unrecorded
from ringfence.errors import NotFound
from ringfence.model.event import EventAction
from ringfence.model.finding import Finding, FindingState
from web.bar import completion
from web.download import Table, conditions_of, in_columns, offer
from web.finding_questions import FINDINGS, MOST, RANKS, Selected, select
from web.flow_questions import gaps_in
from web.guard import record, services
from web.problems import Refused
from web.render import page
from web.scope import Scope, scope, strict_scope
from web.sorting import Keys, in_order, read_order
from web.window import earliest

blueprint = Blueprint("findings", __name__)
PAGE = 100
RANGE = "7d"
SORTED: Keys[Finding] = {
    "severity": lambda item: RANKS[item.severity],
    "what": lambda item: item.sentence,
    "kind": lambda item: item.kind,
    "state": lambda item: item.state,
    "times": lambda item: item.count,
    "first": lambda item: item.first_seen,
    "last": lambda item: item.last_seen,
}
SUPPRESSIONS: dict[str, tuple[str, timedelta]] = {
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
}
CHANGES = {
    "acknowledge": FindingState.ACKNOWLEDGED,
    "suppress": FindingState.SUPPRESSED,
    "resolve": FindingState.RESOLVED,
    "reopen": FindingState.OPEN,
}


@blueprint.get("/findings")
def show() -> tuple[str, int]:
    found = scope(default_range=RANGE, vocabulary=FINDINGS)
    state = _state(found)
    context: dict[str, Any] = {
        "default_range": RANGE,
        "wanted": state.value if state else "all",
        "states": ["all", *FindingState],
        "counts": services().state.findings.counts(),
    }
    if not found.answerable:
        return page("pages/findings.html", answered=False, **context), 400
    order = read_order(found.address.one("sort"), SORTED)
    selected, complete = _selected(found, state)
    total = len(selected.findings)
    # A list that has become shorter meanwhile is shown from its last page on: beyond it nothing would seem to match.
    offset = max(0, min(request.args.get("offset", 0, type=int), (total - 1) // PAGE * PAGE))
    oldest = min((item.last_seen for item in selected.outside), default=None)
    return page(
        "pages/findings.html",
        answered=True,
        findings=in_order(selected.findings, order, SORTED)[offset : offset + PAGE],
        total=total,
        offset=offset,
        more=offset + PAGE if total > offset + PAGE else None,
        order=order,
        outside=len(selected.outside),
        oldest=max(oldest, earliest(found.now)) if oldest else None,
        unfiltered=selected.unfiltered,
        complete=complete,
        gaps=gaps_in(services().flows, found.window),
        **context,
    ), 200


COLUMNS: Keys[Finding] = {
    "id": lambda item: item.id,
    "severity": lambda item: item.severity,
    "sentence": lambda item: item.sentence,
    "staged": lambda item: item.staged,
    "response": lambda item: item.response,
    "kind": lambda item: item.kind,
    "technique": lambda item: item.technique,
    "state": lambda item: item.state,
    "count": lambda item: item.count,
    "first_seen": lambda item: item.first_seen,
    "last_seen": lambda item: item.last_seen,
}


def table() -> Table:
    """Every finding that the list shows, page after page."""
    found = strict_scope(default_range=RANGE, vocabulary=FINDINGS)
    order = read_order(found.address.one("sort"), SORTED)
    state = _state(found)
    selected, complete = _selected(found, state)
    notes = unrecorded(services().state, found.window.start, found.window.end)
    if not complete:
        notes.append(f"only the {MOST} most severe findings were looked at")
    return Table(
        what="findings",
        columns=tuple(COLUMNS),
        rows=in_columns(in_order(selected.findings, order, SORTED), COLUMNS),
        count=len(selected.findings),
        window=found.window,
        conditions=conditions_of(found) | {"state": state.value if state else "all"},
        gaps=gaps_in(services().flows, found.window),
        notes=notes,
    )


offer(blueprint, "/findings", table)


def _state(found: Scope) -> FindingState | None:
    """Which state is listed; None: every one."""
    wanted = found.address.one("state") or "open"
    return FindingState(wanted) if wanted in set(FindingState) else None


def _selected(found: Scope, state: FindingState | None) -> tuple[Selected, bool]:
    """What the filter and the range select, and whether all findings were looked at for it."""
    known = services().state.findings.list(state=state, limit=MOST)
    return select(known, found.window, found.bar), len(known) < MOST


@blueprint.get("/findings/suggest")
def suggest() -> Response:
    """As that of the flows, for the words that findings have."""
    return jsonify(completion(request.args.get("q", ""), FINDINGS))


@blueprint.get("/findings/<finding_id>")
def one(finding_id: str) -> str:
    found = finding(finding_id)
    stored = [row for flow_id in found.flows[:20] if (row := services().flows.get(flow_id))]
    held = next((item for item in services().state.quarantines.active() if item.workload == found.workload), None)
    return page(
        "pages/finding.html",
        found=found,
        flows=sorted(stored, key=lambda row: row["started"], reverse=True),
        rule_field="staged_rule" if found.staged else "rule",
        since=max(found.first_seen, earliest(services().clock())),
        suppressions=SUPPRESSIONS,
        quarantine=held,
    )


@blueprint.post("/findings/<finding_id>")
def change(finding_id: str) -> Response:
    changed = change_finding(finding_id, request.form.get("change", ""), request.form.get("duration", ""))
    return redirect(f"/findings/{changed.id}", code=303)


def finding(finding_id: str) -> Finding:
    """Raises `NotFound`."""
    found = services().state.findings.get(finding_id)
    if found is None:
        raise NotFound("no such finding")
    return found


def change_finding(finding_id: str, wish: str, duration: str) -> Finding:
    """Acknowledge, suppress for a while, resolve or reopen; recorded first."""
    former = finding(finding_id)
    if wish not in CHANGES:
        raise Refused(422, f"“{wish[:40]}” is no change: {', '.join(CHANGES)}.")
    until: datetime | None = None
    if wish == "suppress":
        if duration not in SUPPRESSIONS:
            raise Refused(422, f"Choose how long to suppress it: {', '.join(SUPPRESSIONS)}.")
        until = services().clock() + SUPPRESSIONS[duration][1]
    changed = replace(former, state=CHANGES[wish], suppressed_until=until)
    detail = {"finding": former.id, "from": former.state.value, "to": changed.state.value}
    if until:
        detail["until"] = until.isoformat()
    record(EventAction.FINDING_CHANGED, former.sentence, **detail)
    services().state.findings.update(changed)
    return changed

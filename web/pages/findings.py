"""Findings: what must I act on?"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from ringfence.errors import NotFound
from ringfence.model.event import EventAction
from ringfence.model.finding import Finding, FindingState
from web.guard import record, services
from web.problems import Refused
from web.render import page

blueprint = Blueprint("findings", __name__)
PAGE = 100
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
def show() -> str:
    wanted = request.args.get("state", "open")
    state = FindingState(wanted) if wanted in set(FindingState) else None
    offset = max(0, min(request.args.get("offset", 0, type=int), 100_000))
    found = services().state.findings.list(state=state, limit=PAGE + 1, offset=offset)
    return page(
        "pages/findings.html",
        findings=found[:PAGE],
        more=offset + PAGE if len(found) > PAGE else None,
        wanted=state.value if state else "all",
        states=["all", *FindingState],
        counts=services().state.findings.counts(),
    )


@blueprint.get("/findings/<finding_id>")
def one(finding_id: str) -> str:
    found = finding(finding_id)
    flows = [row for flow_id in found.flows[:20] if (row := services().flows.get(flow_id))]
    held = next((item for item in services().state.quarantines.active() if item.workload == found.workload), None)
    return page("pages/finding.html", found=found, flows=flows, suppressions=SUPPRESSIONS, quarantine=held)


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

"""The API of findings: list, one, and a change of state."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from ringfence.model.finding import FindingState
from web.api.operation import LIMIT, NUMBER, OBJECT, TEXT, Operation, Query, answer, body_of, fields, limit_of, list_of
from web.guard import services
from web.pages.findings import change_finding
from web.pages.findings import finding as find
from web.problems import Refused


def findings() -> Response:
    wanted = request.args.get("state", "")
    if wanted and wanted not in set(FindingState):
        raise Refused(422, f"state must be one of {', '.join(FindingState)}.")
    offset = request.args.get("offset", "0")
    if not (offset.isascii() and offset.isdecimal() and len(offset) < 7):
        raise Refused(422, "offset must be a number.")
    state = FindingState(wanted) if wanted else None
    rows = services().state.findings.list(state=state, limit=limit_of(), offset=int(offset))
    return answer({"findings": rows, "open": dict(services().state.findings.counts())})


def finding(finding_id: str) -> Response:
    return answer(find(finding_id))


def finding_change(finding_id: str) -> Response:
    body = body_of(change=str, duration=str)
    return answer(change_finding(finding_id, body.get("change", ""), body.get("duration", "")))


FINDING = {"$ref": "#/components/schemas/Finding"}

OPERATIONS = (
    Operation(
        method="GET",
        path="/findings",
        name="findings",
        view=findings,
        summary="Findings, most severe first.",
        queries=(
            Query(name="state", doc="open, acknowledged, suppressed or resolved.", schema=TEXT),
            LIMIT,
            Query(name="offset", doc="Rows to leave out.", schema=NUMBER),
        ),
        answer=fields(findings=list_of(FINDING), open=OBJECT),
        problems=(422,),
    ),
    Operation(
        method="GET",
        path="/findings/{finding_id}",
        name="finding",
        view=finding,
        summary="One finding.",
        answer=FINDING,
        problems=(404,),
    ),
    Operation(
        method="POST",
        path="/findings/{finding_id}",
        name="finding_change",
        view=finding_change,
        summary="Acknowledge, suppress (duration 24h, 7d or 30d), resolve or reopen.",
        body=fields(("change",), change=TEXT, duration=TEXT),
        answer=FINDING,
        problems=(404, 422, 503),
    ),
)

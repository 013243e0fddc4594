"""The API of findings: list, one, and a change of state."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from flask import request
from werkzeug.wrappers import Response

from ringfence.model.finding import Finding, FindingState, Severity
from ringfence.store.filter.predicate import to_predicate
from ringfence.store.rows import encode_cursor
from web.api.operation import (
    CURSOR,
    LIMIT,
    NEXT,
    OBJECT,
    TEXT,
    Operation,
    Query,
    answer,
    body_of,
    cut,
    fields,
    limit_of,
    list_of,
    read_position,
)
from web.bar import Bar
from web.finding_questions import BATCH, FINDINGS, Position, every, row_of
from web.guard import services
from web.pages.findings import change_finding
from web.pages.findings import finding as find
from web.problems import Refused
from web.scope import strict_scope


def findings() -> Response:
    wanted = request.args.get("state", "")
    if wanted and wanted not in set(FindingState):
        raise Refused(422, f"state must be one of {', '.join(FindingState)}.")
    state, limit, cursor = FindingState(wanted) if wanted else None, limit_of(), request.args.get("cursor")
    after = _position(cursor) if cursor else None
    bar = strict_scope(vocabulary=FINDINGS).bar
    # Without a filter all that is read is wanted.
    found = _matching(bar, state, after, batch=BATCH if bar.text else limit + 1)
    matching = list(islice(found, limit + 1))
    rows, following = cut(matching, limit, lambda item: f"{item.severity}_{encode_cursor(item.last_seen, item.id)}")
    return answer({"findings": rows, "cursor": following, "open": dict(services().state.findings.counts())})


def _matching(bar: Bar, state: FindingState | None, after: Position | None, *, batch: int) -> Iterator[Finding]:
    """Those that the filter selects, in the order of the store, read as far as they are wanted."""
    test = to_predicate(bar.filter, bar.vocabulary.find)
    found = every(services().state.findings, state=state, after=after, batch=batch)
    return (item for item in found if test(row_of(item)))


def _position(cursor: str) -> Position:
    severity, _, rest = cursor.partition("_")
    moment, finding_id = read_position(rest)
    if severity not in set(Severity):
        raise Refused(400, "The page cursor is not valid.", hint="Start again from the first page.")
    return Severity(severity), moment, finding_id


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
            Query(name="q", doc="Filter, as in the bar of the findings page.", schema=TEXT),
            LIMIT,
            CURSOR,
        ),
        answer=fields(findings=list_of(FINDING), cursor=NEXT, open=OBJECT),
        problems=(400, 422),
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

"""The API of reports: catalogue and history, order, one, and its files."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from audit.report.catalogue import CATALOGUE
from audit.report.parameters import KEYS
from ringfence.errors import NotFound
from ringfence.store.rows import encode_cursor
from web.api.operation import (
    CURSOR,
    FILTER,
    LIMIT,
    MOMENT,
    NEXT,
    NUMBER,
    OBJECT,
    TEXT,
    WINDOW,
    Operation,
    answer,
    as_plain,
    body_of,
    cut,
    fields,
    limit_of,
    list_of,
    read_position,
)
from web.guard import services
from web.pages.reports import file_of, order_report


def reports() -> Response:
    kinds = [
        {"kind": kind, "title": item.title, "description": item.description, "parameters": item.parameters}
        for kind, item in CATALOGUE.items()
    ]
    limit, cursor = limit_of(200), request.args.get("cursor")
    after = read_position(cursor) if cursor else None
    found = services().state.reports.list(limit=limit + 1, after=after)
    rows, following = cut(found, limit, lambda item: encode_cursor(item.created, item.id))
    return answer({"catalogue": kinds, "reports": [_public(item) for item in rows], "cursor": following})


def report(report_id: str) -> Response:
    found = services().state.reports.get(report_id)
    if found is None:
        raise NotFound("no such report")
    return answer(_public(found))


def report_create() -> Response:
    given = body_of(kind=str, **dict.fromkeys(KEYS, str))
    return answer(_public(order_report(given.pop("kind", ""), given)), 202)


def report_file(report_id: str, kind: str) -> Response:
    return file_of(report_id, kind)


def _public(found: object) -> dict[str, object]:
    """Formats instead of paths on the server."""
    row: dict[str, object] = as_plain(found)
    files = row["files"]
    return row | {"files": sorted(files) if isinstance(files, dict) else []}


REPORT = fields(
    id=TEXT,
    kind=TEXT,
    title=TEXT,
    created=MOMENT,
    author=TEXT,
    parameters=OBJECT,
    digest=TEXT,
    files=list_of(TEXT),
    state={"enum": ["running", "done", "failed"]},
    error=TEXT,
    progress=NUMBER | {"description": "Percent; 100 when it is done."},
    step=TEXT | {"description": "What a running report does now; empty before it begins."},
)

OPERATIONS = (
    Operation(
        method="GET",
        path="/reports",
        name="reports",
        view=reports,
        summary="The catalogue, and the reports that were made, newest first.",
        queries=(LIMIT, CURSOR),
        answer=fields(catalogue=list_of(OBJECT), reports=list_of(REPORT), cursor=NEXT),
        problems=(400,),
    ),
    Operation(
        method="POST",
        path="/reports",
        name="report_create",
        view=report_create,
        summary="Make a report over a time range and a filter; the catalogue names the parameters of its kind. "
        "Its state shows when it is done, its progress how far it is.",
        queries=(FILTER, *WINDOW),
        body=fields(("kind",), kind=TEXT, **dict.fromkeys(KEYS, TEXT)),
        answer=REPORT,
        status=202,
        problems=(400, 422, 503),
    ),
    Operation(
        method="GET",
        path="/reports/{report_id}",
        name="report",
        view=report,
        summary="One report with its digest.",
        answer=REPORT,
        problems=(404,),
    ),
    Operation(
        method="GET",
        path="/reports/{report_id}/{kind}",
        name="report_file",
        view=report_file,
        summary="A report as html, csv (one file of all tables) or json.",
        answer=TEXT,
        content="application/octet-stream",
        problems=(404, 503),
    ),
)

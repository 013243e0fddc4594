"""The API of the audit log: records, and whether the chain holds."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from web.api.operation import (
    CURSOR,
    LIMIT,
    OBJECT,
    TEXT,
    WINDOW,
    Operation,
    Query,
    answer,
    as_plain,
    fields,
    limit_of,
    list_of,
)
from web.guard import services
from web.pages.audit_log import asked, record_fields
from web.scope import strict_scope


def audit() -> Response:
    found = strict_scope(default_range="7d")
    page = services().audit.page(
        limit=limit_of(),
        cursor=request.args.get("cursor") or None,
        start=found.window.start,
        end=found.window.end,
        **asked(),
    )
    records = [record_fields(item) for item in page.records]
    return answer({"records": records, "cursor": page.cursor, "damaged": page.damaged})


def audit_verify() -> Response:
    return answer(as_plain(services().audit.verify()))


OPERATIONS = (
    Operation(
        method="GET",
        path="/audit",
        name="audit",
        view=audit,
        summary="Records of the audit log, newest first.",
        queries=(
            *WINDOW,
            LIMIT,
            CURSOR,
            Query(name="actor", doc="Exact name.", schema=TEXT),
            Query(name="action", doc="Exact action.", schema=TEXT),
            Query(name="text", doc="Any word of a record.", schema=TEXT),
        ),
        answer=fields(records=list_of(OBJECT), cursor={"type": ["string", "null"]}),
        problems=(400, 422, 503),
    ),
    Operation(
        method="GET",
        path="/audit/verify",
        name="audit_verify",
        view=audit_verify,
        summary="Whether every hash and link of the audit log holds.",
        answer=OBJECT,
        problems=(503,),
    ),
)

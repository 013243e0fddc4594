"""Audit log: who did what, when, and is the record intact?"""

from __future__ import annotations

import json
from collections.abc import Iterator

from flask import Blueprint, Response, request

from ringfence.model.event import AuditRecord, EventAction
from web import export
from web.guard import record, services
from web.render import page
from web.scope import scope, strict_scope

blueprint = Blueprint("audit_log", __name__)
PAGE = 100
RANGE = "7d"


@blueprint.get("/audit")
def show() -> tuple[str, int]:
    found = scope(default_range=RANGE)
    log = services().audit
    action = request.args.get("action", "")
    text = request.args.get("text", "").strip()[:200]
    by = request.args.get("actor", "").strip()[:200]
    answer = log.page(
        limit=PAGE,
        cursor=request.args.get("cursor") or None,
        actor=by,
        action=EventAction(action) if action in set(EventAction) else None,
        text=text,
        start=found.window.start,
        end=found.window.end,
    )
    return page(
        "pages/audit_log.html",
        default_range=RANGE,
        answer=answer,
        head=log.head(),
        checked=log.verify() if request.args.get("verify") == "1" else None,
        actions=list(EventAction),
        action=action,
        text=text,
        by=by,
    ), 400 if found.window_error else 200


def export_() -> Response:
    """The records of the time range with their hashes, one JSON object a line."""
    found = strict_scope(default_range=RANGE)
    bounds = {"from": found.window.start.isoformat(), "to": found.window.end.isoformat()}
    record(EventAction.EXPORT, "audit log", **bounds)

    def lines() -> Iterator[str]:
        for item in services().audit.records():
            if found.window.start <= item.event.at < found.window.end:
                yield json.dumps(record_fields(item)) + "\n"

    name = f"audit-{found.window.start:%Y%m%dT%H%M%S}-{found.window.end:%Y%m%dT%H%M%S}.jsonl"
    return Response(
        "".join(lines()),
        content_type=export.FORMATS["json"],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def record_fields(item: AuditRecord) -> dict[str, object]:
    """One record as plain fields."""
    event = item.event
    return {
        "sequence": item.sequence,
        "at": export.plain(event.at),
        "actor": event.actor,
        "action": event.action.value,
        "target": event.target,
        "outcome": event.outcome,
        "origin": event.origin,
        "detail": export.plain(event.detail),
        "previous": item.previous,
        "hash": item.hash,
    }


blueprint.add_url_rule("/audit/export.json", "export", export_)

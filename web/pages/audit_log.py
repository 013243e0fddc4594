"""Audit log: who did what, when, and is the record intact?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, request

from audit.verify import Verification
from ringfence.model.event import AuditRecord, EventAction
from web import export
from web.guard import record, services
from web.problems import Refused
from web.render import page
from web.scope import scope, strict_scope

blueprint = Blueprint("audit_log", __name__)
PAGE = 100
RANGE = "7d"
LONGEST = 200
"""Characters of a condition that are looked at."""


@blueprint.get("/audit")
def show() -> tuple[str, int]:
    found = scope(default_range=RANGE)
    log = services().audit
    wanted = asked()
    answer = log.page(
        limit=PAGE,
        cursor=request.args.get("cursor") or None,
        start=found.window.start,
        end=found.window.end,
        **wanted,
    )
    return page(
        "pages/audit_log.html",
        default_range=RANGE,
        answer=answer,
        head=log.head(),
        checked=log.verify() if request.args.get("verify") == "1" else None,
        actions=list(EventAction),
        action=wanted["action"] or "",
        text=wanted["text"],
        by=wanted["actor"],
    ), 400 if found.window_error else 200


def export_() -> Response:
    """What the page shows, all of it and oldest first, with the hashes, one JSON object a line; remarks at the end say
    by what it was selected, what could not be read and whether the chain holds."""
    found = strict_scope(default_range=RANGE)
    wanted = asked()
    given = {name: str(value) for name, value in wanted.items() if value}
    bounds = {"from": found.window.start.isoformat(), "to": found.window.end.isoformat()}
    record(EventAction.EXPORT, "audit log", **bounds, **{f"only {name}": value for name, value in given.items()})
    log = services().audit
    items = list(log.matching(start=found.window.start, end=found.window.end, **wanted))
    lines = [record_fields(item) for item in items if item is not None]
    lines += [{"remark": remark} for remark in _remarks(given, items.count(None), log.verify())]
    name = f"audit-{found.window.start:%Y%m%dT%H%M%S}-{found.window.end:%Y%m%dT%H%M%S}.jsonl"
    return Response(
        "".join(json.dumps(line) + "\n" for line in lines),
        content_type=export.FORMATS["json"],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def asked() -> dict[str, Any]:
    """What a request asks for beside the time range: actor, action and text, as the log takes them.

    Raises:
        Refused: 422 for an action that there is not.
    """
    action = request.args.get("action", "")
    if action and action not in set(EventAction):
        raise Refused(422, f"“{action[:60]}” is no action.", hint=f"Actions are {', '.join(EventAction)}.")
    return {
        "actor": request.args.get("actor", "").strip()[:LONGEST],
        "action": EventAction(action) if action else None,
        "text": request.args.get("text", "").strip()[:LONGEST],
    }


def _remarks(given: Mapping[str, str], damaged: int, checked: Verification) -> Iterator[str]:
    if given:
        yield f"only records with {', '.join(f'{name} “{value}”' for name, value in given.items())}"
    if damaged:
        lines = "1 line of the log is" if damaged == 1 else f"{damaged} lines of the log are"
        yield f"{lines} left out because damaged, whatever the time range and the filter"
    if checked.ok:
        yield f"the log is intact: {checked.records} records, the last has the hash {checked.head}"
    else:
        yield f"the log is NOT intact: {checked.problem}; {checked.records} records before it hold"


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

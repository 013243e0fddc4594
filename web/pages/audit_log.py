"""Audit log: who did what, when, and is the record intact?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, request

from audit.verify import Verification
from ringfence.model.event import AuditRecord, EventAction
from web import export
from web.download import Table, offer
from web.guard import services
from web.problems import Refused
from web.render import page
from web.scope import scope, strict_scope

blueprint = Blueprint("audit_log", __name__)
PAGE = 100
RANGE = "7d"
LONGEST = 200
"""Characters of a condition that are looked at."""
COLUMNS = ("sequence", "at", "actor", "action", "target", "outcome", "origin", "detail", "previous", "hash")


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


def table() -> Table:
    """What the page shows, all of it and oldest first, with the hashes; remarks at the end say by what it was selected,
    what could not be read and whether the chain holds."""
    found = strict_scope(default_range=RANGE)
    wanted = asked()
    given = {name: str(value) for name, value in wanted.items() if value}
    log = services().audit
    read = _Reading(log.matching(start=found.window.start, end=found.window.end, **wanted))
    return Table(
        what="audit log",
        columns=COLUMNS,
        rows=read.rows(),
        window=found.window,
        conditions={f"only {name}": value for name, value in given.items()},
        notes=_remarks(given, read, log.verify),
    )


@dataclass(slots=True)
class _Reading:
    """Records one by one, and how many lines so far could not be read."""

    found: Iterator[AuditRecord | None]
    damaged: int = 0

    def rows(self) -> Iterator[dict[str, object]]:
        for item in self.found:
            if item is None:
                self.damaged += 1
            else:
                yield record_fields(item)


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


def _remarks(given: Mapping[str, str], read: _Reading, verify: Callable[[], Verification]) -> Iterator[str]:
    """What can be said once every record was read."""
    if given:
        yield f"only records with {', '.join(f'{name} “{value}”' for name, value in given.items())}"
    if read.damaged:
        lines = "1 line of the log is" if read.damaged == 1 else f"{read.damaged} lines of the log are"
        yield f"{lines} left out because damaged, whatever the time range and the filter"
    checked = verify()
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


offer(blueprint, "/audit", table)

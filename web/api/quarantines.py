"""The API of quarantine: list, plan, order (with Idempotency-Key), release."""

from __future__ import annotations

import re
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from ringfence.errors import NotFound
from ringfence.model.quarantine import Quarantine
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
from web.guard import actor, services, user
from web.idempotency import Answers
from web.ordering import read_access, read_expiry, read_reason
from web.problems import Refused

KEY = re.compile(r"[\x21-\x7e]{8,128}\Z")
_answers: Answers[str] = Answers(limit=2_000)


def quarantines() -> Response:
    limit, cursor = limit_of(200), request.args.get("cursor")
    after = read_position(cursor) if cursor else None
    found = services().state.quarantines.list(limit=limit + 1, after=after)
    rows, following = cut(found, limit, lambda item: encode_cursor(item.created, item.id))
    return answer({"quarantines": rows, "cursor": following})


def quarantine(quarantine_id: str) -> Response:
    return answer(_find(quarantine_id))


def quarantine_plan() -> Response:
    return answer(services().actions.plan_quarantine(_workload(body_of(workload=str))))


def quarantine_create() -> Response:
    """The same key again, with the same body, gives the former answer and orders nothing."""
    body = body_of(workload=str, reason=str, duration=str, access=list)
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        return answer(_order(body), 202)
    if not KEY.match(key):
        raise Refused(400, "Idempotency-Key must be 8 to 128 printable characters.")
    scoped = f"{id(services().state)}:{user().name}:{key}"
    with _answers.once(scoped, body) as slot:
        if slot.value is None:
            slot.value = _order(body).id
        return answer(_find(slot.value), 202)


def quarantine_release(quarantine_id: str) -> Response:
    reason = read_reason(body_of(reason=str).get("reason", ""))
    return answer(services().actions.release(quarantine=quarantine_id, reason=reason, actor=actor()), 202)


def _order(body: dict[str, Any]) -> Quarantine:
    return services().actions.quarantine(
        workload=_workload(body),
        reason=read_reason(body.get("reason", "")),
        actor=actor(),
        expires=read_expiry(body.get("duration", ""), services().clock()),
        access=read_access("\n".join(str(line) for line in body.get("access", []))),
    )


def _workload(body: dict[str, Any]) -> str:
    if not body.get("workload"):
        raise Refused(422, "workload is missing.")
    return str(body["workload"])


def _find(quarantine_id: str) -> Quarantine:
    found = services().state.quarantines.get(quarantine_id)
    if found is None:
        raise NotFound("no such quarantine")
    return found


QUARANTINE = {"$ref": "#/components/schemas/Quarantine"}

OPERATIONS = (
    Operation(
        method="GET",
        path="/quarantines",
        name="quarantines",
        view=quarantines,
        summary="Quarantines, newest first, released ones included.",
        queries=(LIMIT, CURSOR),
        answer=fields(quarantines=list_of(QUARANTINE), cursor=NEXT),
        problems=(400, 422),
    ),
    Operation(
        method="POST",
        path="/quarantines",
        name="quarantine_create",
        view=quarantine_create,
        summary="Order a quarantine; the answer comes at once with state applying.",
        queries=(Query(name="Idempotency-Key", doc="The same key orders once.", schema=TEXT, place="header"),),
        body=fields(
            ("workload", "reason", "duration"), workload=TEXT, reason=TEXT, duration=TEXT, access=list_of(TEXT)
        ),
        answer=QUARANTINE,
        status=202,
        problems=(403, 404, 409, 422, 503),
    ),
    Operation(
        method="POST",
        path="/quarantines/plan",
        name="quarantine_plan",
        view=quarantine_plan,
        summary="What a quarantine of a workload would cut, or why it cannot be done.",
        body=fields(("workload",), workload=TEXT),
        answer=OBJECT,
        problems=(404, 422),
    ),
    Operation(
        method="GET",
        path="/quarantines/{quarantine_id}",
        name="quarantine",
        view=quarantine,
        summary="One quarantine with its proof.",
        answer=QUARANTINE,
        problems=(404,),
    ),
    Operation(
        method="POST",
        path="/quarantines/{quarantine_id}/release",
        name="quarantine_release",
        view=quarantine_release,
        summary="Release it; the former rules are put back.",
        body=fields(("reason",), reason=TEXT),
        answer=QUARANTINE,
        status=202,
        problems=(404, 422, 503),
    ),
)

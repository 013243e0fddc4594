"""The API of policy: the text in force, its history, a check, and a change with If-Match."""

from __future__ import annotations

import re
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from policy_engine.parse import parse_policy
from ringfence.errors import NotFound, PolicyInvalid, StoreUnavailable
from ringfence.store.state import PolicyRevision
from web.api.operation import (
    CURSOR,
    LIMIT,
    MOMENT,
    NEXT,
    NUMBER,
    OBJECT,
    TEXT,
    Operation,
    Query,
    answer,
    as_plain,
    body_of,
    cut,
    limit_of,
    list_of,
)
from web.api.operation import fields as object_of
from web.guard import actor, services
from web.ordering import read_reason
from web.policy_change import change_of
from web.policy_view import read_policy
from web.problems import Refused, problem_rows
from web.rollout import rollout_of

CURSOR_TEXT = re.compile(r"[0-9]{1,18}\Z")
TAG = re.compile(r'(?:W/)?"?(\d{1,9})"?\Z')


def policy() -> Response:
    return _with_rollout(services().state.policies.current(), _rollout())


def policy_history() -> Response:
    limit, cursor = limit_of(), request.args.get("cursor")
    if cursor and not CURSOR_TEXT.match(cursor):
        raise Refused(400, "The page cursor is not valid.", hint="Start again from the first page.")
    found = services().state.policies.list(limit=limit + 1, before=int(cursor) if cursor else None)
    rows, following = cut(found, limit, lambda item: str(item.revision))
    return answer({"revisions": [_without_text(item) for item in rows], "cursor": following})


def policy_revision(revision: int) -> Response:
    found = services().state.policies.get(revision)
    if found is None:
        raise NotFound(f"there is no revision {revision} of the policy")
    return _answer(found)


def policy_check() -> Response:
    """An invalid policy is a good answer to a check, so the status is 200."""
    text = _text(body_of(text=str))
    given = services()
    try:
        policies = parse_policy(text)
    except PolicyInvalid as error:
        return answer({"valid": False, "problems": problem_rows(error), "change": None})
    former = read_policy(given.state.policies.current().text)
    change = (
        change_of(former, policies, given.state.workloads.current(), given.flows, given.clock())
        if former is not None
        else None
    )
    return answer({"valid": True, "problems": [], "change": change})


def policy_apply() -> Response:
    body = body_of(text=str, reason=str)
    made = services().actions.apply_policy(
        text=_text(body), reason=read_reason(body.get("reason", "")), actor=actor(), expected=_expected()
    )
    try:
        rollout = _rollout()
    except StoreUnavailable:
        rollout = None  # the change was made: an error would say that it was not
    return _with_rollout(made, rollout, status=201)


def _text(body: dict[str, Any]) -> str:
    if "text" not in body:
        raise Refused(422, "text is missing.")
    return str(body["text"])


def _expected() -> int | None:
    """The revision of If-Match; None when any will do."""
    header = request.headers.get("If-Match", "").strip()
    if header in ("", "*"):
        return None
    found = TAG.match(header)
    if found is None:
        raise Refused(400, "If-Match must be the ETag of a policy, its revision in quotes.")
    return int(found.group(1))


def _rollout() -> dict[str, Any]:
    """How far the newest revision has come in the kernels."""
    given = services()
    rollout = rollout_of(given.state, given.clock())
    return {**as_plain(rollout), "settled": rollout.settled, "sentence": rollout.sentence}


def _with_rollout(found: PolicyRevision, rollout: dict[str, Any] | None, status: int = 200) -> Response:
    return answer(as_plain(found) | {"rollout": rollout}, status, ETag=f'"{found.revision}"')


def _answer(found: PolicyRevision, status: int = 200) -> Response:
    return answer(found, status, ETag=f'"{found.revision}"')


def _without_text(found: PolicyRevision) -> dict[str, Any]:
    return {name: value for name, value in as_plain(found).items() if name != "text"}


REVISION = object_of(revision=NUMBER, text=TEXT, author=TEXT, reason=TEXT, applied=MOMENT)

ROLLOUT = object_of(
    revision=NUMBER,
    workloads=NUMBER | {"description": "Workloads that have rules, on the hosts that are counted."},
    in_force=NUMBER,
    waiting=NUMBER | {"description": "Not reported on yet."},
    others=OBJECT | {"description": "How many workloads are partial, failed, not containable or off."},
    troubles=list_of(object_of(state=TEXT, reason=TEXT, workloads=OBJECT)),
    notes=list_of(TEXT) | {"description": "Hosts that are silent, that do not say, or that have another revision."},
    settled={
        "type": "boolean",
        "description": "In force on every workload, as far as anybody can say; may never come.",
    },
    sentence=TEXT,
)
IN_FORCE = object_of(revision=NUMBER, text=TEXT, author=TEXT, reason=TEXT, applied=MOMENT, rollout=ROLLOUT)
APPLIED = object_of(
    revision=NUMBER, text=TEXT, author=TEXT, reason=TEXT, applied=MOMENT,
    rollout=ROLLOUT | {"type": ["object", "null"], "description": "null: not readable, but the policy was applied."},
)  # fmt: skip

OPERATIONS = (
    Operation(
        method="GET",
        path="/policies",
        name="policy",
        view=policy,
        summary="The newest policy, and on how many workloads it is in force.",
        answer=IN_FORCE,
    ),
    Operation(
        method="POST",
        path="/policies",
        name="policy_apply",
        view=policy_apply,
        summary="Apply a policy; with If-Match only if that revision is in force.",
        queries=(Query(name="If-Match", doc="ETag of the revision it was made from.", schema=TEXT, place="header"),),
        body=object_of(("text", "reason"), text=TEXT, reason=TEXT),
        answer=APPLIED,
        status=201,
        problems=(409, 422, 503),
    ),
    Operation(
        method="POST",
        path="/policies/check",
        name="policy_check",
        view=policy_check,
        summary="Every problem of a draft, or what it would open and close by recorded history.",
        body=object_of(("text",), text=TEXT),
        answer=object_of(valid={"type": "boolean"}, problems=list_of(OBJECT), change={"type": ["object", "null"]}),
        problems=(422,),
    ),
    Operation(
        method="GET",
        path="/policies/history",
        name="policy_history",
        view=policy_history,
        summary="Revisions, newest first, without their texts.",
        queries=(LIMIT, CURSOR),
        answer=object_of(revisions=list_of(OBJECT), cursor=NEXT),
        problems=(400, 422),
    ),
    Operation(
        method="GET",
        path="/policies/history/{revision}",
        name="policy_revision",
        view=policy_revision,
        summary="One revision with its text.",
        answer=REVISION,
        problems=(404,),
    ),
)

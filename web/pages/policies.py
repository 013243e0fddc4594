"""Policies: what is the intent, and what would a change do?"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from policy_engine.parse import parse_policy
from ringfence.errors import Conflict, NotFound, PolicyInvalid, RingfenceError
from ringfence.store.flows import FlowQuery
from ringfence.store.state import PolicyRevision
from web.flow_questions import gaps_in
from web.guard import actor, services
from web.ordering import read_reason
from web.policy_change import change_of
from web.policy_view import columns_of, hits_of, mode_counts, read_policy, text_changes
from web.problems import in_words, status_of
from web.render import page
from web.rollout import rollout_of
from web.scope import scope

blueprint = Blueprint("policies", __name__)
SHOWN = 20
"""Workloads that are named for each reason why the policy is not in force on them."""


@blueprint.get("/policies")
def show() -> tuple[str, int]:
    found = scope(default_range="24h")
    given = services()
    current = given.state.policies.current()
    policies = read_policy(current.text)
    workloads = given.state.workloads.current()
    hits = hits_of(given.flows, FlowQuery(start=found.window.start, end=found.window.end))
    return page(
        "pages/policies.html",
        default_range="24h",
        current=current,
        applied=request.args.get("applied", type=int),
        rollout=rollout_of(given.state, found.now),
        shown=SHOWN,
        policies=policies,
        tiers=columns_of(policies, workloads, hits) if policies else (),
        modes=mode_counts(policies, workloads) if policies else {},
        history=given.state.policies.list(limit=50),
        gaps=gaps_in(given.flows, found.window),
    ), 400 if found.window_error else 200


@blueprint.get("/policies/rollout")
def rollout() -> str:
    """How far the revision in force has come, alone: it follows every report of an enforcer."""
    given = services()
    return page("fragments/rollout.html", rollout=rollout_of(given.state, given.clock()), shown=SHOWN)


@blueprint.get("/policies/<int:revision>")
def revision(revision: int) -> str:
    """An old text, and how it differs from the one in force."""
    found = _revision(revision)
    current = services().state.policies.current()
    return page(
        "pages/policy_revision.html",
        found=found,
        current=current,
        lines=text_changes(current.text, found.text) if found.revision != current.revision else (),
        marked=request.args.get("line", type=int),
    )


@blueprint.get("/policies/edit")
def edit() -> str:
    """The editor; `from` takes an old revision as the draft, to roll back to it."""
    current = services().state.policies.current()
    number = request.args.get("revision", type=int)
    draft = _revision(number).text if number is not None else current.text
    reason = f"roll back to revision {number}" if number is not None else ""
    return _editor(current, draft, reason=reason)


@blueprint.post("/policies/check")
def check() -> tuple[str, int]:
    """The fragment beside the editor: every problem, or what the draft would open and close."""
    return page("fragments/policy_check.html", **_checked(_draft())), 200


@blueprint.post("/policies/apply")
def apply() -> Response | tuple[str, int]:
    draft = _draft()
    current = services().state.policies.current()
    typed = request.form.get("reason", "")
    try:
        reason = read_reason(typed)
        made = services().actions.apply_policy(
            text=draft, reason=reason, actor=actor(), expected=request.form.get("expected", type=int)
        )
    except RingfenceError as error:
        stale = ". Your text is kept below; compare it with the revision in force before you apply it."
        words = f"{error}{stale}" if isinstance(error, Conflict) else in_words(error)
        return _editor(current, draft, reason=typed, error=words), status_of(error)
    return redirect(f"/policies?applied={made.revision}", code=303)


def _draft() -> str:
    """Browsers send line ends as CR LF."""
    return request.form.get("text", "").replace("\r\n", "\n")


def _revision(number: int) -> PolicyRevision:
    found = services().state.policies.get(number)
    if found is None:
        raise NotFound(f"there is no revision {number} of the policy")
    return found


def _checked(draft: str) -> dict[str, Any]:
    given = services()
    current = given.state.policies.current()
    try:
        policies = parse_policy(draft)
    except PolicyInvalid as error:
        return {"problems": error.problems, "change": None, "unchanged": False, "lines": ()}
    former = read_policy(current.text)
    return {
        "problems": (),
        "policies": policies,
        "unchanged": draft == current.text,
        "change": change_of(former, policies, given.state.workloads.current(), given.flows, given.clock())
        if former is not None
        else None,
        "lines": text_changes(current.text, draft),
    }


def _editor(current: PolicyRevision, draft: str, *, reason: str = "", error: str = "") -> str:
    return page("pages/policy_edit.html", current=current, draft=draft, reason=reason, error=error, **_checked(draft))

"""Stands before every view: who asks, may they, and is the request their own. And after it: the security headers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from flask import Flask, Response, current_app, g, request, session
from flask_wtf.csrf import CSRFProtect

from ringfence import metrics
from ringfence.errors import AuditUnavailable, StoreUnavailable
from ringfence.log import logger
from ringfence.model.event import AuditEvent, EventAction
from ringfence.store.state import User
from web.actions import Actor
from web.identity import identify
from web.permissions import Permission, needed_for, permitted
from web.problems import Refused
from web.refusals import Refusals
from web.services import Services

UNKNOWN_TOKEN = "This token is unknown, has expired or was revoked."  # noqa: S105 -- a sentence
SIGN_IN = "Sign in, perhaps again, and repeat it. The policy editor keeps the text of its tab."
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_log = logger("web")


def install(app: Flask, csrf: CSRFProtect) -> None:
    """Put the guard before and after every request of an application."""
    refusals = Refusals()

    @app.before_request
    def admit() -> None:
        _note_repeated(refusals)
        _admit(csrf, refusals)

    @app.after_request
    def seal(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint != "static":
            response.headers.setdefault("Cache-Control", "no-store")
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        metrics.HTTP_REQUESTS.labels(route=request.endpoint or "none", status=response.status_code).inc()
        return response


def services() -> Services:
    """The services of the application that answers this request."""
    return cast(Services, current_app.extensions["ringfence"])


def user() -> User:
    """The user of this request; only views that need a login may ask."""
    caller = g.caller
    if caller is None:
        raise Refused(401, "Sign in first.")
    return cast(User, caller.user)


def actor() -> Actor:
    """The user of this request as the author of an order."""
    return Actor(name=user().name, origin=origin())


def origin() -> str:
    """The address of the peer, or as so many trusted proxies as are configured forward it."""
    return request.remote_addr or ""


def still_admitted() -> bool:
    """Whether the caller of this request would be admitted again now; answers that go on for long ask as they go."""
    given = services()
    try:
        caller = identify(request, session, given.state, session_lifetime(), given.clock())
    except StoreUnavailable:
        return False
    needed = needed_for(request.endpoint or "")
    return caller is not None and needed is not None and permitted(caller.user.role, needed)


def session_lifetime() -> timedelta:
    return timedelta(hours=services().config.web.session_hours)


def record(
    action: EventAction,
    target: str,
    *,
    outcome: str = "success",
    by: str | None = None,
    source: str | None = None,
    **detail: object,
) -> None:
    """Write an audit event for this request; `by` and `source` when it is about a former one.

    Raises:
        AuditUnavailable: it could not be made durable; a change must then not be made.
    """
    name = by if by is not None else (g.caller.user.name if g.get("caller") else "anonymous")
    event = AuditEvent(
        at=services().clock(),
        actor=name[:200],
        action=action,
        target=target[:500],
        outcome=outcome,
        origin=origin() if source is None else source,
        detail=detail,
    )
    services().audit.append(event)


def note(action: EventAction, target: str, *, outcome: str, **detail: Any) -> None:
    """Like `record` for what is refused anyway: an audit log that cannot be written makes it no more allowed."""
    try:
        record(action, target, outcome=outcome, **detail)
    except AuditUnavailable as error:
        _log.error("refusal not recorded", action=action.value, target=target, error=str(error))


def _note_repeated(refusals: Refusals) -> None:
    """Record how often was refused what is not recorded each time."""
    for tally in refusals.due(services().clock()):
        about = {"by": tally.user, "source": tally.origin}
        note(
            EventAction.ACCESS_DENIED,
            tally.route,
            outcome="denied",
            **about,
            times=tally.times,
            since=tally.since.isoformat(),
        )


def _admit(csrf: CSRFProtect, refusals: Refusals) -> None:
    given = services()
    g.caller = None
    if request.endpoint is None or request.endpoint == "static":
        return
    g.caller = identify(request, session, given.state, session_lifetime(), given.clock())
    if g.caller is None and request.path.startswith("/api/"):
        raise Refused(401, UNKNOWN_TOKEN if "Authorization" in request.headers else "Sign in first.")
    needed = needed_for(request.endpoint)
    allowed = needed is not None and permitted(g.caller.user.role if g.caller else None, needed)
    if g.caller is None and not allowed:
        if request.method in SAFE:
            raise Refused(401, "Sign in first.")
        raise Refused(401, "You are not signed in: nothing was changed.", hint=SIGN_IN)
    if request.method not in SAFE and not (g.caller and g.caller.by_token):
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            raise Refused(403, "This request came from another site.")
        csrf.protect()
    if not allowed:
        _refuse(g.caller.user, needed, refusals)


def _refuse(who: User, needed: Permission | None, refusals: Refusals) -> None:
    """Recorded once in a while for each place, not each time."""
    if refusals.first(who.name, str(request.url_rule), origin(), services().clock()):
        wanted = needed.value if needed else "unlisted"
        note(EventAction.ACCESS_DENIED, request.path, outcome="denied", method=request.method, needs=wanted)
    raise Refused(403, f"Your role ({who.role.value}) may not do this.")

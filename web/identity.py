"""Who is asking: a signed session cookie, or a bearer token of the API. Ends at once when revoked."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Request
from flask.sessions import SessionMixin

from ringfence.store.state import State, Token, User
from web.api_tokens import user_of_token
from web.secret import digest_of

BEARER = "bearer "
ENDED_SESSION = "ended session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The user of one request; `by_token` requests carry no cookie, so they cannot be forged by another site."""

    user: User
    by_token: bool


def open_session(session: SessionMixin, user: User, now: datetime) -> None:
    """Start a new session for a user: nothing of the former one is kept."""
    session.clear()
    session.permanent = True
    session["user"] = user.name
    session["epoch"] = user.session_epoch
    session["id"] = secrets.token_urlsafe(16)
    session["at"] = int(now.timestamp())


def end_session(session: SessionMixin, state: State, lifetime: timedelta, now: datetime) -> None:
    """End this session for good: a copy of its cookie does not work any more either."""
    if "id" in session:
        ended = digest_of(session["id"])
        state.tokens.add(Token(digest=ended, purpose=ENDED_SESSION, subject=session["user"], expires=now + lifetime))
    session.clear()


def identify(
    request: Request, session: SessionMixin, state: State, lifetime: timedelta, now: datetime
) -> Caller | None:
    """The caller, None for an anonymous one.

    An `Authorization` header counts only under `/api/` and `/metrics`, and there alone; to pages a proxy in front may
    forward one of its own.
    """
    header = request.headers.get("Authorization", "")
    if header and request.path.startswith(("/api/", "/metrics")):
        known = header.lower().startswith(BEARER)
        return _by_token(header[len(BEARER) :].strip(), state, now) if known else None
    return _by_session(session, state, lifetime, now)


def _by_token(token: str, state: State, now: datetime) -> Caller | None:
    user = user_of_token(state, token, now)
    return Caller(user=user, by_token=True) if user else None


def _by_session(session: SessionMixin, state: State, lifetime: timedelta, now: datetime) -> Caller | None:
    if not all(key in session for key in ("user", "epoch", "id", "at")):
        return None
    if now.timestamp() - session["at"] > lifetime.total_seconds():
        return None
    user = state.users.get(session["user"])
    if user is None or user.disabled or user.session_epoch != session["epoch"]:
        return None
    digest = digest_of(session["id"])
    if state.tokens.take(digest=digest, purpose=ENDED_SESSION, now=now, consume=False):
        return None
    return Caller(user=user, by_token=False)

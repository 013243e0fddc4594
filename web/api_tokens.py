"""API tokens: what programs sign in with, each with the role of its user, listed and revoked one by one."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from ringfence.store.state import State, Token, User
from web.secret import digest_of

API_TOKEN = "api"  # noqa: S105 -- the purpose of a token, not a token
LIFETIME = timedelta(days=30)
MOST = 20
"""Tokens of one user at a time."""
SHOWN = 4
"""Characters of a token that are kept readable, so that its user can tell which one it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """What is known of a token that works; `id` is its SHA-256."""

    id: str
    name: str
    created: datetime
    expires: datetime
    ending: str


def create_api_token(state: State, user: User, now: datetime, lifetime: timedelta = LIFETIME, *, name: str = "") -> str:
    """A bearer token with the role of its user. It ends with the user's sessions: a new password, "sign out
    everywhere" and a change of role or access end it too."""
    secret = secrets.token_urlsafe(32)
    about = {"name": name, "created": now.isoformat(), "ending": secret[-SHOWN:]}
    subject = json.dumps({"user": user.name, "epoch": user.session_epoch, **about})
    state.tokens.add(Token(digest=digest_of(secret), purpose=API_TOKEN, subject=subject, expires=now + lifetime))
    return secret


def user_of_token(state: State, token: str, now: datetime) -> User | None:
    """Whose API token this is; None when it is unknown, revoked, expired or has ended with the user's sessions."""
    subject = state.tokens.take(digest=digest_of(token), purpose=API_TOKEN, now=now, consume=False)
    if subject is None:
        return None
    fields = json.loads(subject)
    user = state.users.get(fields["user"])
    return user if user and not user.disabled and user.session_epoch == fields["epoch"] else None


def tokens_of(state: State, user: User, now: datetime) -> tuple[ApiToken, ...]:
    """The tokens of a user that work."""
    found = []
    for token in state.tokens.list(purpose=API_TOKEN, now=now):
        fields = json.loads(token.subject)
        if (fields["user"], fields["epoch"]) == (user.name, user.session_epoch):
            created = datetime.fromisoformat(fields["created"])
            found.append(
                ApiToken(
                    id=token.digest,
                    name=fields["name"],
                    created=created,
                    expires=token.expires,
                    ending=fields["ending"],
                )
            )
    return tuple(found)


def revoke(state: State, token: ApiToken, now: datetime) -> None:
    """From now on it is unknown."""
    state.tokens.take(digest=token.id, purpose=API_TOKEN, now=now, consume=True)

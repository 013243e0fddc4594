"""One-time login links: how the first administrator, and everybody who is invited, sets a name and a password."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from ringfence.clock import Clock
from ringfence.store.state import Role, State, Token
from web.secret import digest_of

LINK = "login link"
LIFETIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What a link permits: to become a user of this role. `name` None: the person chooses, which ends with the first
    administrator unless the link is for `recovery`, printed on the host for somebody who lost the password."""

    role: Role
    name: str | None = None
    recovery: bool = False


def create_bootstrap_link(state: State, url: str, clock: Clock, invitation: Invitation | None = None) -> str:
    """A link that works once within 24 hours; without an invitation its user becomes an administrator."""
    invitation = invitation or Invitation(role=Role.ADMIN)
    token = secrets.token_urlsafe(32)
    subject = json.dumps({"role": invitation.role.value, "name": invitation.name, "recovery": invitation.recovery})
    state.tokens.add(Token(digest=digest_of(token), purpose=LINK, subject=subject, expires=clock() + LIFETIME))
    return f"{url.rstrip('/')}/login/{token}"


def read_invitation(state: State, token: str, now: datetime, *, consume: bool) -> Invitation | None:
    """The invitation of a valid link; None when it is unknown, used, too old, or was for the first administrator and
    there is one."""
    subject = state.tokens.take(digest=digest_of(token), purpose=LINK, now=now, consume=consume)
    if subject is None:
        return None
    fields = json.loads(subject)
    found = Invitation(role=Role(fields["role"]), name=fields["name"], recovery=fields.get("recovery", False))
    if found.name is None and not found.recovery and any(user.role is Role.ADMIN for user in state.users.list()):
        return None
    return found

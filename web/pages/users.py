"""Users: invite by one-time link, change a role, switch off."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from ringfence.errors import RingfenceError
from ringfence.model.event import EventAction
from ringfence.store.state import Role, User
from web.bootstrap import Invitation, create_bootstrap_link
from web.guard import record, services, user
from web.pages.account import NAME
from web.problems import Refused
from web.render import page

blueprint = Blueprint("users", __name__)


class NameInvalid(RingfenceError):
    """Nobody can have this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """A one-time link and whom it is for; `role` is the one that they have or will have."""

    name: str
    role: Role
    link: str


@blueprint.get("/users")
def show() -> str:
    return _page()


@blueprint.post("/users")
def invite() -> str | tuple[str, int]:
    """A link for a new user, or a new password for one who lost it."""
    try:
        made = invite_user(request.form.get("name", ""), request.form.get("role", ""))
    except NameInvalid as error:
        return _page(error=str(error)), 422
    return _page(made=made)


@blueprint.post("/users/<name>")
def change(name: str) -> Response:
    change_user(name, role=request.form.get("role"), disabled=request.form.get("disabled") == "yes")
    return redirect("/users", code=303)


def invite_user(name: str, role: str) -> Invited:
    """Make a one-time link, recorded first; whoever exists keeps their role.

    Raises:
        NameInvalid: nobody can have this name.
        Refused: 422 for a role that does not exist.
    """
    name = name.strip().lower()
    wanted = _role(role)
    if not NAME.match(name):
        raise NameInvalid("The name may have small letters, digits and . _ @ -, at most 64.")
    known = services().state.users.get(name)
    given = known.role if known else wanted
    record(EventAction.USER_INVITED, name, role=given.value)
    link = create_bootstrap_link(services().state, _site(), services().clock, Invitation(role=given, name=name))
    return Invited(name=name, role=given, link=link)


def change_user(name: str, *, role: str | None, disabled: bool | None) -> User:
    """Another role, or access switched off or on; None leaves it. A change is recorded first and ends the sessions.

    Raises:
        Refused: 404 for nobody, 409 for oneself, 422 for a role that does not exist.
    """
    found = services().state.users.get(name)
    if found is None:
        raise Refused(404, "There is no such user.")
    if found.name == user().name:
        raise Refused(409, "Nobody changes their own role or switches themselves off: ask another administrator.")
    wanted = replace(
        found,
        role=found.role if role is None else _role(role),
        disabled=found.disabled if disabled is None else disabled,
    )
    if wanted == found:
        return found
    record(EventAction.USER_CHANGED, name, change="role or access", role=wanted.role.value, disabled=wanted.disabled)
    changed = _ended(wanted)
    services().state.users.save(changed)
    return changed


def _ended(found: User) -> User:
    return replace(found, session_epoch=found.session_epoch + 1)


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Refused(422, f"“{text[:40]}” is no role.") from None


def _site() -> str:
    return services().config.web.public_url or request.host_url


def _page(*, error: str = "", made: Invited | None = None) -> str:
    return page("pages/users.html", users=services().state.users.list(), roles=list(Role), error=error, made=made)

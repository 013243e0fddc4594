"""Users: invite by one-time link, change a role, switch off."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from ringfence.model.event import EventAction
from ringfence.store.state import Role, User
from web.bootstrap import Invitation, create_bootstrap_link
from web.guard import record, services, user
from web.pages.account import NAME
from web.problems import Refused
from web.render import page

blueprint = Blueprint("users", __name__)


@blueprint.get("/users")
def show() -> str:
    return _page()


@blueprint.post("/users")
def invite() -> str | tuple[str, int]:
    """A link for a new user, or a new password for one who lost it."""
    name = request.form.get("name", "").strip().lower()
    role = _role(request.form.get("role", ""))
    if not NAME.match(name):
        return _page(error="The name may have small letters, digits and . _ @ -, at most 64."), 422
    known = services().state.users.get(name)
    role = known.role if known else role
    record(EventAction.USER_INVITED, name, role=role.value)
    link = create_bootstrap_link(services().state, _site(), services().clock, Invitation(role=role, name=name))
    return _page(link=link, invited=name)


@blueprint.post("/users/<name>")
def change(name: str) -> Response:
    found = services().state.users.get(name)
    if found is None:
        raise Refused(404, "There is no such user.")
    if found.name == user().name:
        raise Refused(409, "Nobody changes their own role or switches themselves off: ask another administrator.")
    wanted = replace(
        found, role=_role(request.form.get("role", found.role.value)), disabled=request.form.get("disabled") == "yes"
    )
    if wanted != found:
        record(
            EventAction.USER_CHANGED, name, change="role or access", role=wanted.role.value, disabled=wanted.disabled
        )
        services().state.users.save(_ended(wanted))
    return redirect("/users", code=303)


def _ended(found: User) -> User:
    return replace(found, session_epoch=found.session_epoch + 1)


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Refused(422, f"“{text[:40]}” is no role.") from None


def _site() -> str:
    return services().config.web.public_url or request.host_url


def _page(*, error: str = "", link: str = "", invited: str = "") -> str:
    users = services().state.users.list()
    return page("pages/users.html", users=users, roles=list(Role), error=error, link=link, invited=invited)

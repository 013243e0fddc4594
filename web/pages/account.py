"""Signing in and out, one-time links, and one's own account."""

from __future__ import annotations

import hmac
import re
from dataclasses import replace

from flask import Blueprint, current_app, g, redirect, request, session
from werkzeug.wrappers import Response

from ringfence.errors import AuditUnavailable
from ringfence.log import logger
from ringfence.model.event import EventAction
from ringfence.store.state import User
from web import identity, passwords
from web.address import local_path
from web.api_tokens import LIFETIME, MOST, create_api_token, revoke, tokens_of
from web.attempts import remember_browser
from web.bootstrap import Invitation, read_invitation
from web.guard import note, record, services, session_lifetime, user
from web.problems import Refused
from web.render import page

blueprint = Blueprint("account", __name__)
NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}\Z")
LONGEST_TOKEN_NAME = 60
GONE = "This link has been used, has expired or never existed."
GONE_HINT = "`ringfence login-link` on the host prints a new one."


@blueprint.get("/login")
def login() -> str:
    return page("pages/login.html", target=local_path(request.args.get("next", "/")), name="", error="")


@blueprint.post("/login")
def login_submit() -> Response | tuple[str, int]:
    name = request.form.get("name", "").strip().lower()[:64]
    password = request.form.get("password", "")
    target = local_path(request.form.get("next", "/"))
    found = services().state.users.get(name) if NAME.match(name) else None
    if not passwords.check(password, found.password_hash if found else None) or found is None or found.disabled:
        note(EventAction.LOGIN_FAILED, "dashboard", outcome="failure", by=name if found else _unknown(name))
        return page("pages/login.html", target=target, name=name, error="Name or password is wrong."), 401
    if passwords.outdated(found.password_hash):
        found = replace(found, password_hash=passwords.make_hash(password))
        services().state.users.save(found)
    _sign_in(found)
    return redirect(target, code=303)


@blueprint.get("/login/<token>")
def invited(token: str) -> str:
    """Only looks: programs that preview links do not use the link up."""
    invitation = _invitation(token, consume=False)
    return page("pages/invited.html", invitation=invitation, name=invitation.name or "", error="")


@blueprint.post("/login/<token>")
def invited_submit(token: str) -> Response | tuple[str, int]:
    invitation = _invitation(token, consume=False)
    name = invitation.name or request.form.get("name", "").strip().lower()
    password = request.form.get("password", "")
    error = _problem(invitation, name, password, request.form.get("again", ""))
    if error:
        return page("pages/invited.html", invitation=invitation, name=name, error=error), 422
    former = services().state.users.get(name)
    made = former or User(name=name, role=invitation.role, password_hash="")
    done = EventAction.PASSWORD_CHANGED if former else EventAction.USER_CREATED
    record(done, name, by=name, role=made.role.value, by_link=True)
    _invitation(token, consume=True)
    epoch = former.session_epoch + 1 if former else 0
    made = replace(made, password_hash=passwords.make_hash(password), session_epoch=epoch)
    services().state.users.save(made)
    _sign_in(made)
    return redirect("/", code=303)


@blueprint.post("/logout")
def logout() -> Response:
    note(EventAction.LOGOUT, "dashboard", outcome="success")
    identity.end_session(session, services().state, session_lifetime(), services().clock())
    return redirect("/login", code=303)


@blueprint.get("/account")
def show() -> str:
    return _account()


@blueprint.post("/account/password")
def password() -> str | tuple[str, int]:
    mine = user()
    wanted = request.form.get("password", "")
    error = passwords.problem_with(wanted, mine.name)
    if wanted != request.form.get("again", ""):
        error = "The two passwords differ."
    if not passwords.check(request.form.get("current", ""), mine.password_hash):
        error = "The current password is wrong."
    if error:
        return _account(error=error), 422
    record(EventAction.PASSWORD_CHANGED, mine.name)
    changed = replace(mine, password_hash=passwords.make_hash(wanted), session_epoch=mine.session_epoch + 1)
    services().state.users.save(changed)
    identity.open_session(session, changed, services().clock())
    g.caller = replace(g.caller, user=changed)
    return _account(done="The password is changed; every other session and every API token has ended.")


@blueprint.post("/account/sessions/end")
def end_sessions() -> Response:
    """Sign out everywhere."""
    mine = user()
    record(EventAction.LOGOUT, "every session")
    services().state.users.save(replace(mine, session_epoch=mine.session_epoch + 1))
    session.clear()
    return redirect("/login", code=303)


@blueprint.post("/account/tokens")
def new_token() -> str | tuple[str, int]:
    """An API token with the role of its owner, shown once."""
    name = " ".join(request.form.get("name", "").split())
    if not name.isprintable() or len(name) > LONGEST_TOKEN_NAME:
        return _account(error=f"The name may have at most {LONGEST_TOKEN_NAME} characters, all of them visible."), 422
    if len(tokens_of(services().state, user(), services().clock())) >= MOST:
        return _account(error=f"There are {MOST} tokens already: revoke one first."), 409
    record(EventAction.API_TOKEN_CREATED, user().name, days=LIFETIME.days, label=name)
    return _account(token=create_api_token(services().state, user(), services().clock(), name=name))


@blueprint.post("/account/tokens/<token_id>/revoke")
def revoke_token(token_id: str) -> Response:
    """One of one's own tokens stops working at once."""
    state, now = services().state, services().clock()
    found = next((item for item in tokens_of(state, user(), now) if item.id == token_id), None)
    if found is None:
        raise Refused(404, "You have no such token (any more).")
    record(EventAction.API_TOKEN_REVOKED, user().name, label=found.name, ending=found.ending)
    revoke(state, found, now)
    return redirect("/account", code=303)


def _account(*, error: str = "", done: str = "", token: str = "") -> str:
    tokens = tokens_of(services().state, user(), services().clock())
    return page("pages/account.html", error=error, done=done, token=token, tokens=tokens)


def _unknown(name: str) -> str:
    """A name that nobody has, as the audit log keeps it: recognisable when it comes again, but not readable, for
    people type passwords into the wrong field."""
    if not name:
        return "anonymous"
    key = str(current_app.secret_key).encode()
    return f"unknown-{hmac.digest(key, name.encode(), 'sha256').hex()[:12]}"


def _sign_in(found: User) -> None:
    """Lets people in even while the audit log cannot be written: they may be here to repair it; changes are refused."""
    try:
        record(EventAction.LOGIN, "dashboard", by=found.name, role=found.role.value)
    except AuditUnavailable as error:
        logger("web").error("login not recorded", user=found.name, error=str(error))
    identity.open_session(session, found, services().clock())
    remember_browser(found.name)


def _invitation(token: str, *, consume: bool) -> Invitation:
    found = read_invitation(services().state, token, services().clock(), consume=consume)
    if found is None:
        raise Refused(404, GONE, hint=GONE_HINT)
    known = services().state.users.get(found.name) if found.name else None
    if known and known.disabled:
        raise Refused(403, "This user is switched off: an administrator can switch it on again.")
    return found


def _problem(invitation: Invitation, name: str, password: str, again: str) -> str:
    if not NAME.match(name):
        return "The name may have small letters, digits and . _ @ -, at most 64."
    if invitation.name is None and services().state.users.get(name):
        return "This name is taken."
    if password != again:
        return "The two passwords differ."
    return passwords.problem_with(password, name)

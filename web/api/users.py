"""The API of users: list, invite by one-time link, change of role or access. No answer has a password or its hash."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ringfence.store.state import Role, User
from web.api.operation import TEXT, Operation, Schema, answer, body_of, fields, list_of
from web.guard import services
from web.pages.users import change_user, invite_user
from web.problems import Refused


def users() -> Response:
    return answer({"users": [_public(item) for item in services().state.users.list()]})


def user_invite() -> Response:
    body = body_of(name=str, role=str)
    return answer(invite_user(body.get("name", ""), body.get("role", "")), 201)


def user_change(name: str) -> Response:
    body = body_of(role=str, disabled=bool)
    if not body:
        raise Refused(422, "Say what to change: role, disabled or both.")
    return answer(_public(change_user(name, role=body.get("role"), disabled=body.get("disabled"))))


def _public(item: User) -> dict[str, object]:
    return {"name": item.name, "role": item.role, "disabled": item.disabled}


ROLE: Schema = {"type": "string", "enum": [role.value for role in Role]}
BOOLEAN: Schema = {"type": "boolean"}
USER = fields(("name", "role", "disabled"), name=TEXT, role=ROLE, disabled=BOOLEAN)

OPERATIONS = (
    Operation(
        method="GET",
        path="/users",
        name="users",
        view=users,
        summary="Users with their role, and whether they are switched off.",
        answer=fields(users=list_of(USER)),
    ),
    Operation(
        method="POST",
        path="/users",
        name="user_invite",
        view=user_invite,
        summary="A link that works once within 24 hours: for a new user with this role, or for a new password of one "
        "who exists, who keeps their role.",
        body=fields(("name", "role"), name=TEXT, role=ROLE),
        answer=fields(("name", "role", "link"), name=TEXT, role=ROLE, link=TEXT),
        status=201,
        problems=(400, 415, 422, 503),
    ),
    Operation(
        method="POST",
        path="/users/{name}",
        name="user_change",
        view=user_change,
        summary="Another role, or access switched off or on; ends the sessions and tokens of that user.",
        body=fields(role=ROLE, disabled=BOOLEAN),
        answer=USER,
        problems=(400, 404, 409, 415, 422, 503),
    ),
)

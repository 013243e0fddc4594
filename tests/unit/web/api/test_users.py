"""The API of users."""

from __future__ import annotations

from typing import Any

import pytest

from ringfence.model.event import EventAction
from ringfence.store.state import Role
from tests.support.site import Site
from web.api_tokens import create_api_token

PATH = "/api/v1/users"


def send(site: Site, body: dict[str, Any], path: str = PATH, *, role: str = "admin") -> Any:
    client = site.client(role)
    return client.post(path, json=body, headers={"X-CSRFToken": site.token(client)})


def last(site: Site) -> tuple[EventAction, str, dict[str, Any]]:
    event = list(site.audit.records())[-1].event
    return event.action, event.target, dict(event.detail)


def test_the_list_has_roles_and_no_hashes(site: Site) -> None:
    answer = site.client("admin").get(PATH)
    rows = answer.get_json()["users"]
    assert {row["name"]: row["role"] for row in rows} == {role.value: role.value for role in Role}
    assert {tuple(row) for row in rows} == {("name", "role", "disabled")}
    assert "argon2" not in answer.text


@pytest.mark.parametrize("role", ["viewer", "operator", "auditor"])
def test_only_administrators_may(site: Site, role: str) -> None:
    assert site.client(role).get(PATH).status_code == 403
    assert send(site, {"name": "bo", "role": "admin"}, role=role).status_code == 403
    assert send(site, {"role": "admin"}, f"{PATH}/{role}", role=role).status_code == 403
    user = site.state.users.get(role)
    assert user is not None and user.role.value == role


def test_a_program_with_a_token_of_an_administrator_may(site: Site) -> None:
    admin = site.state.users.get("admin")
    assert admin is not None
    headers = {"Authorization": f"Bearer {create_api_token(site.state, admin, site.clock())}"}
    answer = site.client().post(PATH, json={"name": "bo", "role": "viewer"}, headers=headers)
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_invitation_is_recorded_and_its_link_makes_the_user(site: Site) -> None:
    body = send(site, {"name": " Bo ", "role": "auditor"}).get_json()
    assert (body["name"], body["role"]) == ("bo", "auditor")
    assert last(site) == (EventAction.USER_INVITED, "bo", {"role": "auditor"})
    assert body["link"] not in str([record.event for record in site.audit.records()])
    path = body["link"].removeprefix("http://localhost")
    form = {"name": "root", "password": "a long enough phrase", "again": "a long enough phrase"}
    assert site.post(site.client(), path, form, page=path).status_code == 303
    user = site.state.users.get("bo")
    assert user is not None and user.role is Role.AUDITOR


def test_a_link_for_somebody_who_exists_keeps_the_role(site: Site) -> None:
    body = send(site, {"name": "viewer", "role": "admin"}).get_json()
    assert body["role"] == "viewer"
    path = body["link"].removeprefix("http://localhost")
    assert "makes you <b>viewer</b>" in site.client().get(path).text


def test_a_change_is_recorded_and_ends_the_sessions(site: Site) -> None:
    viewer = site.client("viewer")
    body = send(site, {"role": "operator"}, f"{PATH}/viewer").get_json()
    assert body == {"name": "viewer", "role": "operator", "disabled": False}
    detail = {"change": "role or access", "role": "operator", "disabled": False}
    assert last(site) == (EventAction.USER_CHANGED, "viewer", detail)
    assert viewer.get("/").status_code == 303
    assert send(site, {"disabled": True}, f"{PATH}/viewer").get_json()["disabled"]
    user = site.state.users.get("viewer")
    assert user is not None and user.disabled and user.role is Role.OPERATOR
    assert not send(site, {"disabled": False}, f"{PATH}/viewer").get_json()["disabled"]


def test_what_changes_nothing_ends_nothing(site: Site) -> None:
    viewer = site.client("viewer")
    assert send(site, {"role": "viewer"}, f"{PATH}/viewer").status_code == 200
    assert viewer.get("/").status_code == 200
    assert EventAction.USER_CHANGED not in {record.event.action for record in site.audit.records()}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("", {"name": "bo", "role": "god"}, 422),
        ("", {"name": "bo"}, 422),
        ("", {"name": "-", "role": "viewer"}, 422),
        ("", {"name": "bo", "role": "viewer", "password": "x"}, 422),
        ("/nobody", {"role": "viewer"}, 404),
        ("/admin", {"role": "viewer"}, 409),
        ("/admin", {"disabled": True}, 409),
        ("/viewer", {"role": "god"}, 422),
        ("/viewer", {"disabled": "yes"}, 422),
        ("/viewer", {"password_hash": "x"}, 422),
        ("/viewer", {}, 422),
    ],
    ids=str,
)
def test_what_the_page_refuses_is_refused_here(site: Site, path: str, body: dict[str, Any], status: int) -> None:
    before = site.state.users.list()
    answer = send(site, body, PATH + path)
    assert answer.status_code == status
    assert answer.get_json()["detail"]
    assert site.state.users.list() == before


def test_without_a_record_nothing_changes(site: Site) -> None:
    client = site.client("admin")
    headers = {"X-CSRFToken": site.token(client)}
    site.audit.close()
    assert client.post(PATH, json={"name": "bo", "role": "viewer"}, headers=headers).status_code == 503
    assert client.post(f"{PATH}/viewer", json={"role": "admin"}, headers=headers).status_code == 503
    user = site.state.users.get("viewer")
    assert user is not None and user.role is Role.VIEWER

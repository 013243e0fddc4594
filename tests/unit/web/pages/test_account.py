"""Signing in and out, links, one's own account."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from ringfence.model.event import EventAction
from ringfence.store.state import Role, User
from tests.support.site import PASSWORD, Site
from web.api_tokens import MOST, create_api_token
from web.bootstrap import Invitation, create_bootstrap_link
from web.secret import digest_of

NEW = {"name": "ada", "password": "a long enough phrase", "again": "a long enough phrase"}


def link_of(site: Site) -> str:
    """What `ringfence login-link` prints."""
    recovery = Invitation(role=Role.ADMIN, recovery=True)
    return create_bootstrap_link(site.state, "http://localhost", site.clock, recovery).removeprefix("http://localhost")


def test_of_two_first_links_one_makes_the_administrator_and_both_are_gone(site: Site) -> None:
    site.without_administrator()
    paths = [
        create_bootstrap_link(site.state, "http://localhost", site.clock).removeprefix("http://localhost")
        for _ in range(2)
    ]
    assert site.post(site.client(), paths[0], NEW, page=paths[0]).status_code == 303
    assert [site.client().get(path).status_code for path in paths] == [404, 404]


def test_a_link_makes_an_administrator_and_works_once(site: Site) -> None:
    path, client = link_of(site), site.client()
    assert client.get(path).status_code == 200
    assert client.head(path).status_code == 200
    answer = site.post(client, path, NEW, page=path)
    assert answer.status_code == 303
    user = site.state.users.get("ada")
    assert user is not None
    assert user.role is Role.ADMIN
    assert user.password_hash.startswith("$argon2id$")
    assert client.get("/users").status_code == 200
    assert site.client().get(path).status_code == 404


def test_looking_at_a_link_does_not_use_it_up_and_neither_does_a_mistake(site: Site) -> None:
    path, client = link_of(site), site.client()
    for _ in range(3):
        client.get(path)
    wrong = site.post(client, path, NEW | {"again": "different"}, page=path)
    assert wrong.status_code == 422
    assert "differ" in wrong.text
    assert site.post(client, path, NEW, page=path).status_code == 303


def test_a_link_cannot_take_over_somebody_who_exists(site: Site) -> None:
    path, client = link_of(site), site.client()
    answer = site.post(client, path, NEW | {"name": "viewer"}, page=path)
    assert answer.status_code == 422
    assert "taken" in answer.text


def test_a_login_leads_back_and_never_elsewhere(site: Site) -> None:
    form = {"name": "admin", "password": PASSWORD}
    assert site.post(site.client(), "/login", form | {"next": "/map"}, page="/login").headers["Location"] == "/map"
    away = site.post(site.client(), "/login", form | {"next": "//evil.example"}, page="/login")
    assert away.headers["Location"] == "/"


@pytest.mark.parametrize("name", ["a\0", "\x1b[2J", "a b", "-", ""])
def test_a_name_that_nobody_can_have_is_unknown_without_a_question_to_the_store(site: Site, name: str) -> None:
    asked: list[str] = []
    users = site.state.users

    class Noting:
        def __getattr__(self, method: str) -> Any:
            return getattr(users, method)

        def get(self, wanted: str) -> User | None:
            asked.append(wanted)
            return users.get(wanted)

    site.state.users = Noting()
    answer = site.post(site.client(), "/login", {"name": name, "password": PASSWORD}, page="/login")
    assert (answer.status_code, asked) == (401, [])
    (failed,) = site.audit.page().records
    assert failed.event.action is EventAction.LOGIN_FAILED
    assert failed.event.actor.startswith("unknown-" if name else "anonymous")


def test_a_new_password_ends_the_other_sessions_and_not_this_one(site: Site) -> None:
    here, there = site.client("viewer"), site.client("viewer")
    form = {"current": PASSWORD, "password": "another long phrase", "again": "another long phrase"}
    assert "every other session and every API token has ended" in site.post(here, "/account/password", form).text
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303


def test_a_password_is_not_changed_without_the_former(site: Site) -> None:
    form = {"current": "wrong", "password": "another long phrase", "again": "another long phrase"}
    assert site.post(site.client("viewer"), "/account/password", form).status_code == 422


def test_signing_out_everywhere_does(site: Site) -> None:
    here, there = site.client("viewer"), site.client("viewer")
    site.post(here, "/account/sessions/end", {})
    assert there.get("/account").status_code == 303


def make_token(site: Site, client: FlaskClient, name: str = "") -> str:
    text: str = site.post(client, "/account/tokens", {"name": name}).text
    return text.split('class="secret">')[1].split("<", maxsplit=1)[0]


def works(site: Site, secret: str) -> bool:
    return site.client().get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def revoke_paths(client: FlaskClient) -> list[str]:
    return re.findall(r'action="(/account/tokens/[0-9a-f]+/revoke)"', client.get("/account").text)


def test_tokens_are_listed_and_revoked_one_by_one(site: Site) -> None:
    client = site.client("viewer")
    secrets = {name: make_token(site, client, name) for name in ("backup job", "<b>siem</b>")}
    text = client.get("/account").text
    assert f'backup job <span class="mono dim">…{secrets["backup job"][-4:]}' in text
    assert "&lt;b&gt;siem" in text
    path = next(path for path in revoke_paths(client) if digest_of(secrets["backup job"]) in path)
    assert site.post(client, path, {}).status_code == 303
    assert [works(site, secret) for secret in secrets.values()] == [False, True]
    assert site.post(client, path, {}).status_code == 404
    events = [item.event for item in site.audit.records()]
    assert [(event.action, event.detail["label"]) for event in events] == [
        (EventAction.API_TOKEN_CREATED, "backup job"),
        (EventAction.API_TOKEN_CREATED, "<b>siem</b>"),
        (EventAction.API_TOKEN_REVOKED, "backup job"),
    ]


def test_nobody_revokes_the_token_of_another(site: Site) -> None:
    secret = make_token(site, site.client("viewer"))
    (path,) = revoke_paths(site.client("viewer"))
    assert revoke_paths(site.client("admin")) == []
    assert site.post(site.client("admin"), path, {}).status_code == 404
    assert works(site, secret)


def test_a_token_that_cannot_be_recorded_is_not_revoked_or_made(site: Site) -> None:
    client = site.client("viewer")
    secret = make_token(site, client)
    (path,) = revoke_paths(client)
    site.audit.close()
    assert site.post(client, path, {}).status_code == 503
    assert site.post(client, "/account/tokens", {}).status_code == 503
    assert works(site, secret)


def test_a_user_has_so_many_tokens_and_names_are_short(site: Site) -> None:
    client = site.client("viewer")
    assert site.post(client, "/account/tokens", {"name": "x" * 61}).status_code == 422
    viewer = site.state.users.get("viewer")
    assert viewer is not None
    for _ in range(MOST):
        create_api_token(site.state, viewer, site.clock())
    assert site.post(client, "/account/tokens", {}).status_code == 409


def test_an_api_token_is_shown_once_and_works(site: Site) -> None:
    client = site.client("viewer")
    text = site.post(client, "/account/tokens", {}).text
    secret = text.split('class="secret">')[1].split("<")[0]
    assert secret not in client.get("/account").text
    answer = site.client().get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
    assert answer.get_json()["role"] == "viewer"

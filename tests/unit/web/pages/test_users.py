"""Users."""

from __future__ import annotations

from ringfence.store.state import Role
from tests.support.site import Site


def test_an_invitation_gives_its_role_and_its_name(site: Site) -> None:
    text = site.post(site.client("admin"), "/users", {"name": "bo", "role": "auditor"}).text
    path = text.split('class="secret">')[1].split("<")[0].removeprefix("http://localhost")
    client = site.client()
    form = {"name": "root", "password": "a long enough phrase", "again": "a long enough phrase"}
    assert site.post(client, path, form, page=path).status_code == 303
    user = site.state.users.get("bo")
    assert user is not None
    assert user.role is Role.AUDITOR
    assert site.state.users.get("root") is None


def test_an_invitation_to_somebody_who_exists_keeps_the_role(site: Site) -> None:
    text = site.post(site.client("admin"), "/users", {"name": "viewer", "role": "admin"}).text
    path = text.split('class="secret">')[1].split("<")[0].removeprefix("http://localhost")
    assert "makes you <b>viewer</b>" in site.client().get(path).text


def test_a_changed_role_ends_the_sessions(site: Site) -> None:
    viewer = site.client("viewer")
    site.post(site.client("admin"), "/users/viewer", {"role": "operator"})
    assert viewer.get("/").status_code == 303
    user = site.state.users.get("viewer")
    assert user is not None
    assert user.role is Role.OPERATOR


def test_nobody_switches_themselves_off(site: Site) -> None:
    assert site.post(site.client("admin"), "/users/admin", {"role": "viewer"}).status_code == 409


def test_a_role_that_does_not_exist_is_refused(site: Site) -> None:
    assert site.post(site.client("admin"), "/users", {"name": "bo", "role": "god"}).status_code == 422
    assert site.post(site.client("admin"), "/users/nobody", {"role": "viewer"}).status_code == 404

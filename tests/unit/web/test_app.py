"""The application as a whole: keys, limits, what it accepts."""

from __future__ import annotations

from pathlib import Path

from tests.support.site import PASSWORD, Site
from web.app import LARGEST_BODY, create_app


def test_there_is_no_default_login(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        for name, password in (("admin", "admin"), ("admin", ""), ("ringfence", "ringfence"), ("root", "")):
            client = site.client()
            answer = site.post(client, "/login", {"name": name, "password": password}, page="/login")
            assert answer.status_code == 401


def test_guessing_passwords_is_slowed_down_whatever_the_headers_say(site: Site) -> None:
    client = site.client()
    token = site.token(client, "/login")
    answers = [
        client.post(
            "/login",
            data={"name": "admin", "password": str(number), "csrf_token": token},
            headers={"X-Forwarded-For": f"10.0.0.{number}"},
        ).status_code
        for number in range(14)
    ]
    assert answers[0] == 401
    assert answers[-1] == 429
    right = site.post(client, "/login", {"name": "admin", "password": PASSWORD}, page="/login")
    assert right.status_code == 429


def test_a_body_that_is_too_large_is_refused_unread(site: Site) -> None:
    client = site.client("admin")
    form = {"text": "x" * (LARGEST_BODY + 1), "csrf_token": site.token(client)}
    assert client.post("/policies/check", data=form).status_code == 413


def test_a_policy_of_a_megabyte_is_not_too_large(site: Site) -> None:
    client = site.client("admin")
    answer = site.post(client, "/policies/check", {"text": "# " + "x" * 1_000_000})
    assert answer.status_code == 200


def test_the_key_outlives_the_process(site: Site) -> None:
    assert create_app(site.services).config["SECRET_KEY"] == site.app.config["SECRET_KEY"]


def test_cookies_are_secure_behind_tls(tmp_path: Path) -> None:
    with Site(tmp_path, settings={"web.public_url": "https://ringfence.example"}) as site:
        assert site.app.config["SESSION_COOKIE_SECURE"]

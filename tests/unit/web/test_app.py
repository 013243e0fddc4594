"""The application as a whole: keys, limits, what it accepts."""

from __future__ import annotations

from pathlib import Path

from flask.testing import FlaskClient

from tests.support.site import PASSWORD, Site
from web.app import LARGEST_BODY, create_app


def test_there_is_no_default_login(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        for name, password in (("admin", "admin"), ("admin", ""), ("ringfence", "ringfence"), ("root", "")):
            client = site.client()
            answer = site.post(client, "/login", {"name": name, "password": password}, page="/login")
            assert answer.status_code == 401


def test_a_path_with_a_nul_is_no_address(shop: Site) -> None:
    client = shop.client("admin")
    for path in ("/api/v1/reports/%00", "/api/v1/workloads/a%00b", "/workloads/%00", "/reports/a%00/html"):
        assert client.get(path).status_code == 404
    known = shop.workloads()["db"].id
    assert client.get(f"/api/v1/workloads/{known}").status_code == 200


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


def guess(site: Site, client: FlaskClient, address: str, **headers: str) -> int:
    form = {"name": "admin", "password": "wrong", "csrf_token": site.token(client, "/login")}
    answer = client.post("/login", data=form, environ_base={"REMOTE_ADDR": address}, headers=headers)
    return answer.status_code


def test_many_addresses_guess_no_faster_than_one(site: Site) -> None:
    answers = [guess(site, site.client(), f"2001:db8:{number:x}::1") for number in range(40)]
    assert answers[:10] == [401] * 10
    assert set(answers[10:]) == {429}


def test_whoever_guesses_does_not_lock_out_a_browser_that_has_been_here(site: Site) -> None:
    mine = site.client()
    right = {"name": "admin", "password": PASSWORD}
    assert site.post(mine, "/login", right, page="/login").status_code == 303
    site.post(mine, "/logout", {})
    for number in range(40):
        guess(site, site.client(), f"2001:db8:{number:x}::1")
    assert site.post(site.client(), "/login", right, page="/login").status_code == 429
    assert site.post(mine, "/login", right, page="/login").status_code == 303


def test_behind_trusted_proxies_people_are_told_apart_and_only_then(tmp_path: Path) -> None:
    with Site(tmp_path, settings={"web.trusted_proxies": 1}) as site:
        spoofed = {"X-Forwarded-For": "10.9.9.9, 192.0.2.7", "X-Forwarded-Proto": "https"}
        guess(site, site.client(), "10.0.0.1", **spoofed)
        assert [item.event.origin for item in site.audit.records()] == ["192.0.2.7"]
        assert "Strict-Transport-Security" in site.client().get("/login", headers=spoofed).headers


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


def test_files_are_kept_by_an_address_that_is_theirs_alone(site: Site) -> None:
    client = site.app.test_client()
    for name in ("js/main.js", "vendor/htmx.org-2.0.11/htmx.min.js"):
        with client.get(f"{site.app.static_url_path}/{name}") as found:
            assert (found.status_code, found.headers["Cache-Control"]) == (200, "public, max-age=2592000")
            assert site.app.static_url_path in client.get("/login").text
    assert client.get("/static/js/main.js").status_code == 404

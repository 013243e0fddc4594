"""The guard: forged requests, foreign sites, headers, what is recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringfence.model.event import EventAction
from tests.support.site import PASSWORD, Site
from web.guard import HEADERS


def actions(site: Site) -> list[tuple[str, str, str]]:
    return [(item.event.actor, item.event.action.value, item.event.outcome) for item in site.audit.records()]


@pytest.mark.parametrize("path", ["/login", "/", "/nothing", "/api/v1/flows", "{static}/css/tokens.css", "/healthz"])
def test_every_answer_has_the_security_headers(shop: Site, path: str) -> None:
    answer = shop.client().get(path.replace("{static}", str(shop.app.static_url_path)))
    answer.close()
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in answer.headers


def test_transport_security_is_only_promised_over_tls(shop: Site) -> None:
    assert "Strict-Transport-Security" in shop.client().get("/login", base_url="https://localhost").headers


def test_no_other_site_may_read_an_answer(shop: Site) -> None:
    answer = shop.client("admin").get("/api/v1/flows", headers={"Origin": "https://evil.example"})
    assert [name for name, _ in answer.headers if name.lower().startswith("access-control")] == []


def test_a_form_without_its_token_changes_nothing(own_shop: Site) -> None:
    client = own_shop.client("admin")
    answer = client.post("/quarantine/q-coupon/release", data={"reason": "forged"})
    assert answer.status_code == 400
    item = own_shop.state.quarantines.get("q-coupon")
    assert item is not None
    assert item.active


def test_the_api_with_a_cookie_needs_the_token_too(own_shop: Site) -> None:
    client = own_shop.client("admin")
    body = {"reason": "forged"}
    assert client.post("/api/v1/quarantines/q-coupon/release", json=body).status_code == 400
    token = own_shop.token(client)
    answer = client.post("/api/v1/quarantines/q-coupon/release", json=body, headers={"X-CSRFToken": token})
    assert answer.status_code == 202


def test_a_request_from_another_site_is_refused_even_with_a_token(site: Site) -> None:
    client = site.client("admin")
    form = {"csrf_token": site.token(client)}
    answer = client.post("/logout", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_a_refusal_is_recorded(site: Site) -> None:
    client = site.client("viewer")
    assert client.get("/users").status_code == 403
    assert actions(site)[-1] == ("viewer", EventAction.ACCESS_DENIED.value, "denied")


def test_refusals_in_a_row_are_counted_in_one_record(tmp_path: Path) -> None:
    moments = [datetime(2026, 3, 1, tzinfo=UTC)]
    with Site(tmp_path, clock=lambda: moments[-1]) as site:
        client = site.client("viewer")
        assert [client.get("/users").status_code for _ in range(300)] == [403] * 300
        assert client.get("/audit").status_code == 403
        moments.append(moments[0] + timedelta(minutes=1))
        site.client("admin").get("/account")
        events = [item.event for item in site.audit.records()]
    assert [(event.actor, event.target, event.detail.get("times")) for event in events] == [
        ("viewer", "/users", None),
        ("viewer", "/audit", None),
        ("viewer", "/users", 299),
    ]
    assert events[-1].origin == "127.0.0.1"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}], ids=["anonymous", "wrong token"])
def test_a_program_that_is_nobody_is_asked_to_sign_in_before_its_form_is_looked_at(
    shop: Site, headers: dict[str, str]
) -> None:
    answer = shop.client().post("/api/v1/policies/check", json={"text": ""}, headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert ("token" in answer.get_json()["detail"]) is bool(headers)


def test_login_failure_and_logout_are_recorded(site: Site) -> None:
    client = site.client("viewer")
    site.post(client, "/logout", {})
    site.post(client, "/login", {"name": "viewer", "password": "wrong"}, page="/login")
    site.post(client, "/login", {"name": "viewer", "password": PASSWORD}, page="/login")
    assert [action for _, action, _ in actions(site)] == ["logout", "login failed", "login"]


def test_an_export_that_cannot_be_recorded_does_not_happen(site: Site) -> None:
    client = site.client("admin")
    site.audit.close()
    assert client.get("/flows/export.csv").status_code == 503
    assert client.get("/flows").status_code == 200


def test_people_get_in_while_the_audit_log_cannot_be_written(site: Site) -> None:
    site.audit.close()
    answer = site.post(site.client(), "/login", {"name": "admin", "password": PASSWORD}, page="/login")
    assert answer.status_code == 303


def test_pages_are_not_cached(shop: Site) -> None:
    assert shop.client("viewer").get("/flows").headers["Cache-Control"] == "no-store"


def test_a_forwarded_address_is_not_believed(site: Site) -> None:
    client = site.client()
    client.get("/login", headers={"X-Forwarded-For": "10.9.9.9"})
    form = {"name": "x", "password": "y", "csrf_token": site.token(client, "/login")}
    client.post("/login", data=form, headers={"X-Forwarded-For": "10.9.9.9"})
    assert [item.event.origin for item in site.audit.records()] == ["127.0.0.1"]

"""Sessions and tokens, and how they end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ringfence.store.state import Token
from tests.support.site import Site
from web.api_tokens import create_api_token
from web.secret import digest_of


def add_token(site: Site, user: str = "operator", *, days: int = 1) -> dict[str, str]:
    found = site.state.users.get(user)
    assert found is not None
    secret = create_api_token(site.state, found, site.clock(), timedelta(days=days))
    return {"Authorization": f"Bearer {secret}"}


def signed_in(site: Site, **headers: str) -> bool:
    return site.app.test_client().get("/api/v1/me", headers=headers).status_code == 200


def test_a_copied_cookie_dies_with_the_logout(site: Site) -> None:
    client = site.client("viewer")
    cookie = client.get_cookie("ringfence")
    assert cookie is not None
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    thief = site.app.test_client()
    thief.set_cookie("ringfence", cookie.value)
    assert thief.get("/api/v1/me").status_code == 200
    site.post(client, "/logout", {})
    assert thief.get("/api/v1/me").status_code == 401


def test_a_changed_cookie_is_nobody(site: Site) -> None:
    client = site.client("viewer")
    cookie = client.get_cookie("ringfence")
    assert cookie is not None
    client.set_cookie("ringfence", cookie.value[:-2] + "xx")
    assert client.get("/api/v1/me").status_code == 401


def test_every_session_ends_with_the_epoch_and_with_the_account(site: Site) -> None:
    client, other = site.client("viewer"), site.client("operator")
    user, second = site.state.users.get("viewer"), site.state.users.get("operator")
    assert user is not None
    assert second is not None
    site.state.users.save(replace(user, session_epoch=user.session_epoch + 1))
    site.state.users.save(replace(second, disabled=True))
    assert client.get("/api/v1/me").status_code == 401
    assert other.get("/api/v1/me").status_code == 401


def test_a_session_ends_after_its_hours(tmp_path: Path) -> None:
    moments = [datetime(2026, 3, 1, tzinfo=UTC)]
    with Site(tmp_path, clock=lambda: moments[-1]) as site:
        client = site.client("viewer")
        moments.append(moments[0] + timedelta(hours=13))
        assert client.get("/api/v1/me").status_code == 401


def test_a_role_taken_away_is_gone_at_once(site: Site) -> None:
    client = site.client("admin")
    user = site.state.users.get("admin")
    viewer = site.state.users.get("viewer")
    assert user is not None
    assert viewer is not None
    site.state.users.save(replace(user, role=viewer.role))
    assert client.get("/users").status_code == 403


def test_a_bearer_token_is_its_user_and_needs_no_form_token(site: Site) -> None:
    headers = add_token(site)
    assert signed_in(site, **headers)
    answer = site.app.test_client().post("/api/v1/policies/check", json={"text": ""}, headers=headers)
    assert answer.status_code == 200


def test_a_bearer_token_opens_no_page(site: Site) -> None:
    assert site.app.test_client().get("/flows", headers=add_token(site)).status_code == 303


def test_a_wrong_or_expired_token_is_nobody_even_with_a_good_cookie(site: Site) -> None:
    expired = add_token(site, days=-1)
    assert not signed_in(site, **expired)
    client = site.client("admin")
    assert client.get("/api/v1/me", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/api/v1/me", headers={"Authorization": "Basic YTpi"}).status_code == 401


def test_a_token_ends_with_the_sessions_of_its_user(site: Site) -> None:
    headers = add_token(site)
    user = site.state.users.get("operator")
    assert user is not None
    assert signed_in(site, **headers)
    site.state.users.save(replace(user, session_epoch=user.session_epoch + 1))
    assert not signed_in(site, **headers)


def test_a_login_link_is_no_api_token(site: Site) -> None:
    expires = site.clock() + timedelta(days=1)
    site.state.tokens.add(Token(digest=digest_of("link"), purpose="login link", subject="admin", expires=expires))
    assert not signed_in(site, Authorization="Bearer link")


def test_a_header_of_a_proxy_signs_nobody_out(site: Site) -> None:
    assert site.client("viewer").get("/flows", headers={"Authorization": "Basic YTpi"}).status_code == 200

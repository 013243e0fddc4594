"""API tokens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.support.site import Site
from web.api_tokens import LIFETIME, create_api_token, revoke, tokens_of, user_of_token


def test_a_token_that_works_is_listed_and_no_other(site: Site) -> None:
    ann, now = site.state.users.get("viewer"), site.clock()
    assert ann is not None
    secret = create_api_token(site.state, ann, now, name="backup")
    create_api_token(site.state, ann, now, timedelta(0), name="over")
    (found,) = tokens_of(site.state, ann, now)
    assert (found.name, found.created, found.expires) == ("backup", now, now + LIFETIME)
    assert secret.endswith(found.ending)
    assert user_of_token(site.state, secret, now) == ann
    changed = replace(ann, session_epoch=ann.session_epoch + 1)
    assert tokens_of(site.state, changed, now) == ()


def test_a_revoked_token_is_nobodys(site: Site) -> None:
    ann, now = site.state.users.get("viewer"), site.clock()
    assert ann is not None
    secret = create_api_token(site.state, ann, now)
    revoke(site.state, tokens_of(site.state, ann, now)[0], now)
    assert user_of_token(site.state, secret, now) is None

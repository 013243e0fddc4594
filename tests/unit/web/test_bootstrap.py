"""One-time links."""

from __future__ import annotations

from datetime import timedelta

from ringfence.store.state import Role
from tests.support.site import Site
from web.bootstrap import LIFETIME, Invitation, create_bootstrap_link, read_invitation


def test_a_link_works_once(site: Site) -> None:
    token = create_bootstrap_link(site.state, "http://host:1/", site.clock).split("/login/")[1]
    now = site.clock()
    assert read_invitation(site.state, token, now, consume=False) == Invitation(role=Role.ADMIN)
    assert read_invitation(site.state, token, now, consume=True) == Invitation(role=Role.ADMIN)
    assert read_invitation(site.state, token, now, consume=True) is None


def test_a_link_dies_after_a_day(site: Site) -> None:
    token = create_bootstrap_link(site.state, "http://host:1", site.clock).split("/login/")[1]
    later = site.clock() + LIFETIME + timedelta(seconds=1)
    assert read_invitation(site.state, token, later, consume=False) is None


def test_an_unknown_token_is_none(site: Site) -> None:
    assert read_invitation(site.state, "x", site.clock(), consume=False) is None

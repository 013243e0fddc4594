"""One-time links."""

from __future__ import annotations

from datetime import timedelta

from ringfence.store.state import Role
from tests.support.site import Site
from web.bootstrap import LIFETIME, Invitation, create_bootstrap_link, read_invitation

RECOVERY = Invitation(role=Role.ADMIN, recovery=True)


def new_token(site: Site, invitation: Invitation | None = None) -> str:
    return create_bootstrap_link(site.state, "http://host:1/", site.clock, invitation).split("/login/")[1]


def test_a_link_works_once(site: Site) -> None:
    token, now = new_token(site, RECOVERY), site.clock()
    assert read_invitation(site.state, token, now, consume=False) == RECOVERY
    assert read_invitation(site.state, token, now, consume=True) == RECOVERY
    assert read_invitation(site.state, token, now, consume=True) is None


def test_the_first_link_lasts_until_there_is_an_administrator(site: Site) -> None:
    admin = site.without_administrator()
    token, now = new_token(site), site.clock()
    assert read_invitation(site.state, token, now, consume=False) == Invitation(role=Role.ADMIN)
    site.state.users.save(admin)
    assert read_invitation(site.state, token, now, consume=False) is None


def test_a_link_dies_after_a_day(site: Site) -> None:
    token = new_token(site, RECOVERY)
    later = site.clock() + LIFETIME + timedelta(seconds=1)
    assert read_invitation(site.state, token, later, consume=False) is None


def test_an_unknown_token_is_none(site: Site) -> None:
    assert read_invitation(site.state, "x", site.clock(), consume=False) is None

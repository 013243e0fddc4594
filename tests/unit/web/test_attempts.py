"""Attempts to sign in, told apart."""

from __future__ import annotations

import pytest

from tests.support.site import Site
from web.attempts import COOKIE, by_account, peer_of, remember_browser


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_ipv6_customer_is_one_peer(address: str, peer: str) -> None:
    assert peer_of(address) == peer


def test_a_browser_that_signed_in_counts_by_itself_for_that_account_only(site: Site) -> None:
    with site.app.test_request_context("/login", method="POST"):
        remember_browser("ann")
        cookie = site.app.process_response(site.app.make_response("")).headers["Set-Cookie"].split(";")[0]

    def counted(name: str, cookie: str) -> str:
        with site.app.test_request_context("/login", method="POST", data={"name": name}, headers={"Cookie": cookie}):
            return by_account()

    assert counted("Ann ", cookie).startswith("browser ")
    assert counted("bob", cookie) == "account bob"
    assert counted("ann", cookie[:-3] + "xxx") == "account ann"
    assert counted("ann", f"{COOKIE}=") == "account ann"

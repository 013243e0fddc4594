"""Health."""

from __future__ import annotations

from tests.support.site import Site


def test_hosts_gaps_drift_and_the_doctor(shop: Site) -> None:
    text = shop.client("viewer").get("/health").text
    for word in (
        "stale",
        "socket overrun",
        "1,204",
        "not known",
        "the IPv6 rules could not be written",
        "IPv6 forwarding",
    ):
        assert word in text


def test_without_gaps_it_says_that_all_is_shown(site: Site) -> None:
    assert "none in the time range" in site.client("viewer").get("/health").text

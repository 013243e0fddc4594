"""Overview."""

from __future__ import annotations

import re
from datetime import timedelta

from ringfence.store.state import HostStatus
from tests.support.site import Site


def test_it_says_what_is_wrong_and_what_is_new(shop: Site) -> None:
    text = shop.client("viewer").get("/").text
    assert "violate policy" in text
    assert "5 edges not seen the day before" in text
    assert "1 of 2" in text
    assert "Incomplete: 2 gaps" in text


def test_the_sentence_and_the_rest_of_the_page_look_at_the_same_time(shop: Site) -> None:
    assert "2 gaps in the last 24 hours" in shop.client("viewer").get("/").text
    assert "1 gap in the last hour" in shop.client("viewer").get("/?range=1h").text


def test_time_that_nobody_watched_is_said_and_ends_the_calm(site: Site) -> None:
    site.state.hosts.report(HostStatus(host="h", at=site.clock() - timedelta(hours=2), facts={}))
    site.state.hosts.report(HostStatus(host="h", at=site.clock(), facts={}))
    client = site.client("viewer")
    day, hour = client.get("/").text, client.get("/?range=1h").text
    assert "Nothing recorded needs action: 0 workloads on 1 host, no gaps in the last 24 hours; not watched" in day
    assert 'class="status s-warn"' in day and "Incomplete: not watched from the start of the window: h (since" in day
    assert "Nothing needs action: 0 workloads on 1 host, no gaps in the last hour" in hour
    assert 'class="status s-good"' in hour and "Incomplete" not in hour


def test_what_is_called_new_says_what_was_not_seen(shop: Site, site: Site) -> None:
    text = shop.client("viewer").get("/").text.split("New since yesterday")[1]
    assert "not watched from the start of the window: shop-1, shop-2" in text
    assert "in the two windows compared" in text
    assert "nobody watched then" in site.client("viewer").get("/").text


def test_an_empty_estate_says_what_to_expect(site: Site) -> None:
    text = site.client("viewer").get("/").text
    assert "No host reports yet" in text
    assert "No open finding" in text


def test_an_impossible_range_is_said_and_not_hidden(shop: Site) -> None:
    answer = shop.client("viewer").get("/?from=2026-02-02&to=2026-02-01")
    assert answer.status_code == 400
    assert "ends before it starts" in answer.text


def test_whatever_changes_two_days_are_compared_anew_every_thirty_seconds_at_most(shop: Site) -> None:
    parts = re.findall(r"<[^>]*data-follow=[^>]*>", shop.client("viewer").get("/").text)
    assert len(parts) == 4
    assert all('data-pace="5"' in part for part in parts)

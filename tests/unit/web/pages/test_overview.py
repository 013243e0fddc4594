"""Overview."""

from __future__ import annotations

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


def test_what_is_called_new_says_what_was_not_seen(shop: Site, site: Site) -> None:
    text = shop.client("viewer").get("/").text.split("New since yesterday")[1]
    assert "Records begin only after" in text
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

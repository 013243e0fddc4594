"""The API of trust."""

from __future__ import annotations

from tests.support.site import Site


def test_the_estate_in_one_sentence_with_its_evidence(shop: Site) -> None:
    body = shop.client("viewer").get("/api/v1/health").get_json()
    assert "1 quarantined" in body["sentence"]
    assert body["stale"] == ["shop-2"]
    assert body["modes"] == {"monitor": 11, "protect": 1}
    assert len(shop.client("viewer").get("/api/v1/gaps").get_json()["gaps"]) == 2


def test_the_sentence_speaks_of_the_window_that_was_asked_for(shop: Site) -> None:
    client = shop.client("viewer")
    assert "1 gap in the last hour" in client.get("/api/v1/health?range=1h").get_json()["sentence"]
    assert "2 gaps in the last 7 days" in client.get("/api/v1/health?range=7d").get_json()["sentence"]


def test_time_that_nobody_watched_is_told(shop: Site) -> None:
    client = shop.client("viewer")
    for path in ("/api/v1/health", "/api/v1/gaps"):
        assert client.get(f"{path}?range=24h").get_json()["unrecorded"] == []
        (reason,) = client.get(f"{path}?range=7d").get_json()["unrecorded"]
        assert reason.startswith("not watched from the start of the window: shop-1, shop-2")
    assert "not watched from" in client.get("/api/v1/health?range=7d").get_json()["sentence"]


def test_who_one_is(shop: Site) -> None:
    body = shop.client("auditor").get("/api/v1/me").get_json()
    assert body["name"] == "auditor"
    assert "read audit" in body["permissions"]
    assert "edit policy" not in body["permissions"]

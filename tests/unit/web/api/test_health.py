"""The API of trust."""

from __future__ import annotations

from tests.support.site import Site


def test_the_estate_in_one_sentence_with_its_evidence(shop: Site) -> None:
    body = shop.client("viewer").get("/api/v1/health").get_json()
    assert "1 quarantined" in body["sentence"]
    assert body["stale"] == ["shop-2"]
    assert body["modes"] == {"monitor": 11, "protect": 1}
    assert len(shop.client("viewer").get("/api/v1/gaps").get_json()["gaps"]) == 2


def test_who_one_is(shop: Site) -> None:
    body = shop.client("auditor").get("/api/v1/me").get_json()
    assert body["name"] == "auditor"
    assert "read audit" in body["permissions"]
    assert "edit policy" not in body["permissions"]

"""The API of workloads."""

from __future__ import annotations

from tests.support.site import Site


def test_the_list_has_mode_proof_and_quarantine(shop: Site) -> None:
    rows = {row["name"]: row for row in shop.client("viewer").get("/api/v1/workloads").get_json()["workloads"]}
    assert rows["coupon"]["mode"] == "protect"
    assert rows["coupon"]["quarantine"] == "q-coupon"
    assert rows["mail"]["enforcement"]["state"] == "partial"
    assert rows["db"]["attachments"][0]["addresses"][0] == "172.20.0.13"


def test_one_has_its_peers_and_policies(shop: Site) -> None:
    client = shop.client("viewer")
    body = client.get(f"/api/v1/workloads/{shop.workloads()['db'].id}").get_json()
    assert "api" in {edge["src_name"] for edge in body["incoming"]}
    assert body["policies"][0]["name"] == "db"
    assert client.get("/api/v1/workloads/nothing").status_code == 404

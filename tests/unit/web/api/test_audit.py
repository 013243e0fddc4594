"""The API of the audit log."""

from __future__ import annotations

from tests.support.site import Site


def test_records_and_the_chain(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    client.get("/users")
    body = client.get("/api/v1/audit?actor=auditor&limit=1").get_json()
    assert body["records"][0]["action"] == "access denied"
    assert client.get("/api/v1/audit/verify").get_json()["ok"]
    assert client.get("/api/v1/audit?action=nonsense").status_code == 422
    assert client.get("/api/v1/audit?cursor=nonsense").status_code == 400

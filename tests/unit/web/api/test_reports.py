"""The API of reports."""

from __future__ import annotations

from tests.support.site import Site


def test_order_wait_download(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    token = {"X-CSRFToken": own_shop.token(client)}
    made = client.post("/api/v1/reports?range=24h&q=verdict:+denied", json={"kind": "flow"}, headers=token)
    assert made.status_code == 202
    report = client.get(f"/api/v1/reports/{made.get_json()['id']}").get_json()
    assert report["state"] == "done"
    assert report["parameters"]["filter"] == "verdict: denied"
    assert report["files"] == ["csv", "html", "json"]
    answer = client.get(f"/api/v1/reports/{report['id']}/html")
    assert answer.status_code == 200
    answer.close()
    assert str(own_shop.folder) not in client.get("/api/v1/reports").text


def test_unknown_kinds_and_reports(site: Site) -> None:
    client = site.client("auditor")
    token = {"X-CSRFToken": site.token(client)}
    assert client.post("/api/v1/reports", json={"kind": "x"}, headers=token).status_code == 422
    assert client.get("/api/v1/reports/x").status_code == 404
    assert {item["kind"] for item in client.get("/api/v1/reports").get_json()["catalogue"]} >= {"flow", "policy"}

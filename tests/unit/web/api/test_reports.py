"""The API of reports."""

from __future__ import annotations

from datetime import timedelta

from audit.report.catalogue import CATALOGUE
from ringfence.store.state import ReportRecord
from tests.support.site import Site, pages


def test_order_wait_download(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    token = {"X-CSRFToken": own_shop.token(client)}
    made = client.post("/api/v1/reports?range=24h&q=verdict:+denied", json={"kind": "flow"}, headers=token)
    assert made.status_code == 202
    report = client.get(f"/api/v1/reports/{made.get_json()['id']}").get_json()
    assert (report["state"], report["progress"], report["step"]) == ("done", 100, "")
    assert report["parameters"]["filter"] == "verdict: denied"
    assert report["files"] == ["csv", "html", "json"]
    answer = client.get(f"/api/v1/reports/{report['id']}/html")
    assert answer.status_code == 200
    answer.close()
    assert str(own_shop.folder) not in client.get("/api/v1/reports").text


def test_the_body_takes_the_parameters_of_its_kind(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    token = {"X-CSRFToken": own_shop.token(client)}
    catalogue = client.get("/api/v1/reports").get_json()["catalogue"]
    assert {item["kind"]: tuple(item["parameters"]) for item in catalogue} == {
        kind: entry.parameters for kind, entry in CATALOGUE.items()
    }
    body = {"kind": "segmentation", "zone": "Europe/Berlin", "scope": "role == 'db'", "group_by": "role"}
    made = client.post("/api/v1/reports?range=24h", json=body, headers=token).get_json()
    report = client.get(f"/api/v1/reports/{made['id']}").get_json()
    assert report["state"] == "done"
    assert {name: report["parameters"][name] for name in ("zone", "scope", "group_by")} == {
        name: body[name] for name in ("zone", "scope", "group_by")
    }
    for wrong in (
        {"kind": "flow", "scope": "role == 'db'"},
        {"kind": "segmentation", "scope": "role =="},
        {"kind": "flow", "zone": "Moon/Base"},
        {"kind": "flow", "colour": "red"},
    ):
        assert client.post("/api/v1/reports", json=wrong, headers=token).status_code == 422, wrong


def test_unknown_kinds_and_reports(site: Site) -> None:
    client = site.client("auditor")
    token = {"X-CSRFToken": site.token(client)}
    assert client.post("/api/v1/reports", json={"kind": "x"}, headers=token).status_code == 422
    assert client.get("/api/v1/reports/x").status_code == 404
    assert {item["kind"] for item in client.get("/api/v1/reports").get_json()["catalogue"]} >= {"flow", "policy"}


def test_every_report_is_reached_by_the_cursor(site: Site) -> None:
    now = site.clock()
    for number in range(7):
        site.state.reports.save(
            ReportRecord(
                id=f"r{number}", kind="flow", title="Flows", created=now - timedelta(minutes=number // 2), author="ann",
                parameters={}, digest="", files={},
            )
        )  # fmt: skip
    rows = pages(site.client("viewer"), "/api/v1/reports", "reports", limit=2)
    assert [row["id"] for row in rows] == [f"r{number}" for number in range(7)]
    assert site.client("viewer").get("/api/v1/reports?cursor=x").status_code == 400

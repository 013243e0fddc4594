"""The API of findings."""

from __future__ import annotations

from ringfence.model.finding import Severity
from tests.support.site import Site, pages


def test_list_one_and_change(own_shop: Site) -> None:
    client = own_shop.client("operator")
    body = client.get("/api/v1/findings?state=open&limit=5").get_json()
    assert len(body["findings"]) == 5
    assert body["open"]["high"] == 1
    assert client.get("/api/v1/findings/f-drift").get_json()["kind"] == "drift"
    token = {"X-CSRFToken": own_shop.token(client)}
    changed = client.post("/api/v1/findings/f-drift", json={"change": "resolve"}, headers=token)
    assert changed.get_json()["state"] == "resolved"


def test_every_finding_is_reached_by_the_cursor(shop: Site) -> None:
    rows = pages(shop.client("viewer"), "/api/v1/findings", "findings", limit=3)
    assert [row["id"] for row in rows] == [item.id for item in shop.state.findings.list()]
    assert len(rows) > 6


def test_the_filter_of_the_findings_page_holds_here_too(shop: Site) -> None:
    client = shop.client("viewer")
    wanted = [item.id for item in shop.state.findings.list() if item.severity is not Severity.HIGH]
    assert 3 < len(wanted) < len(shop.state.findings.list())
    rows = pages(client, "/api/v1/findings", "findings", limit=2, q="not severity: high")
    assert [row["id"] for row in rows] == wanted
    assert client.get("/api/v1/findings?q=severty:+high").status_code == 400


def test_wrong_states_and_cursors_are_refused(shop: Site) -> None:
    client = shop.client("viewer")
    assert client.get("/api/v1/findings?state=x").status_code == 422
    for cursor in ("x", "high_x", "worst_1_x", "high_1"):
        assert client.get(f"/api/v1/findings?cursor={cursor}").status_code == 400
    assert client.get("/api/v1/findings/nothing").status_code == 404

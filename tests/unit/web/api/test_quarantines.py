"""The API of quarantine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ringfence.model.quarantine import QuarantineState
from tests.support.site import Site, pages


def test_the_same_key_orders_once(own_shop: Site) -> None:
    client, target = own_shop.client("operator"), own_shop.workloads()["db"].id
    headers = {"X-CSRFToken": own_shop.token(client), "Idempotency-Key": "incident-4711"}
    body = {"workload": target, "reason": "it scans", "duration": "1h", "access": ["in 10.0.0.5 tcp 22"]}
    first = client.post("/api/v1/quarantines", json=body, headers=headers)
    second = client.post("/api/v1/quarantines", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.get_json()["id"] == second.get_json()["id"]
    assert len(own_shop.state.quarantines.active()) == 2
    other = client.post("/api/v1/quarantines", json=body | {"reason": "another"}, headers=headers)
    assert other.status_code == 409


def test_a_plan_says_what_it_would_cut_or_why_not(own_shop: Site) -> None:
    client, known = own_shop.client("operator"), own_shop.workloads()
    token = {"X-CSRFToken": own_shop.token(client)}
    plan = client.post("/api/v1/quarantines/plan", json={"workload": known["db"].id}, headers=token).get_json()
    assert plan["open_connections"] > 0
    assert plan["refusal"] == ""
    held = client.post("/api/v1/quarantines/plan", json={"workload": known["coupon"].id}, headers=token).get_json()
    assert "already" in held["refusal"]
    assert client.post("/api/v1/quarantines/plan", json={"workload": "x"}, headers=token).status_code == 404


def test_an_order_without_end_reason_or_target_is_refused(own_shop: Site) -> None:
    client, target = own_shop.client("operator"), own_shop.workloads()["db"].id
    token = {"X-CSRFToken": own_shop.token(client)}
    good = {"workload": target, "reason": "it scans", "duration": "1h"}
    for name in good:
        body = {key: value for key, value in good.items() if key != name}
        assert client.post("/api/v1/quarantines", json=body, headers=token).status_code == 422
    bad_key = client.post("/api/v1/quarantines", json=good, headers=token | {"Idempotency-Key": "x"})
    assert bad_key.status_code == 400
    assert len(own_shop.state.quarantines.active()) == 1


def test_every_quarantine_is_reached_by_the_cursor(own_shop: Site) -> None:
    (one,) = own_shop.state.quarantines.list()
    for number in range(7):
        created = one.created - timedelta(hours=number // 3)
        own_shop.state.quarantines.add(replace(one, id=f"q{number}", created=created, state=QuarantineState.RELEASED))
    client = own_shop.client("viewer")
    rows = pages(client, "/api/v1/quarantines", "quarantines", limit=2)
    assert [row["id"] for row in rows] == ["q-coupon", *(f"q{number}" for number in range(7))]
    assert client.get("/api/v1/quarantines?cursor=x").status_code == 400


def test_release(own_shop: Site) -> None:
    client = own_shop.client("operator")
    token = {"X-CSRFToken": own_shop.token(client)}
    answer = client.post("/api/v1/quarantines/q-coupon/release", json={"reason": "cleaned"}, headers=token)
    assert answer.status_code == 202
    assert client.get("/api/v1/quarantines/q-coupon").get_json()["state"] == "released"
    assert len(client.get("/api/v1/quarantines").get_json()["quarantines"]) == 1

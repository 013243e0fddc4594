"""The API of policy."""

from __future__ import annotations

from typing import Any

from ringfence.demo.shop import POLICY
from ringfence.errors import StoreUnavailable
from tests.support.site import Site, pages


def test_apply_needs_the_revision_it_was_made_from(own_shop: Site) -> None:
    client = own_shop.client("operator")
    token = {"X-CSRFToken": own_shop.token(client)}
    tag = client.get("/api/v1/policies").headers["ETag"]
    body = {"text": POLICY, "reason": "try"}
    made = client.post("/api/v1/policies", json=body, headers=token | {"If-Match": tag})
    assert (made.status_code, made.get_json()["revision"]) == (201, 3)
    again = client.post("/api/v1/policies", json=body, headers=token | {"If-Match": tag})
    assert again.status_code == 409
    assert client.post("/api/v1/policies", json=body, headers=token | {"If-Match": "x"}).status_code == 400
    assert client.post("/api/v1/policies", json=body, headers=token).status_code == 201


def test_the_policy_says_on_how_many_workloads_it_is_in_force(own_shop: Site) -> None:
    client = own_shop.client("operator")
    rollout = client.get("/api/v1/policies").get_json()["rollout"]
    assert (rollout["in_force"], rollout["workloads"], rollout["others"]) == (11, 12, {"partial": 1})
    assert list(rollout["troubles"][0]["workloads"].values()) == ["mail"]
    assert rollout["sentence"] == "Revision 2: in force on 11 of 12 workloads, 1 partial"
    body, token = {"text": POLICY, "reason": "try"}, {"X-CSRFToken": own_shop.token(client)}
    made = client.post("/api/v1/policies", json=body, headers=token).get_json()
    assert (made["rollout"]["waiting"], made["rollout"]["settled"]) == (12, False)
    schemas = client.get("/api/v1/openapi.json").get_json()["paths"]["/api/v1/policies"]
    for method, status in (("get", "200"), ("post", "201")):
        schema = schemas[method]["responses"][status]["content"]["application/json"]["schema"]
        assert set(schema["properties"]) == set(made)
        assert set(schema["properties"]["rollout"]["properties"]) == set(rollout)


class AwayHosts:
    """Hosts of a store that does not answer."""

    def __getattr__(self, name: str) -> Any:
        raise StoreUnavailable("the state store does not answer")


def test_a_change_that_was_made_is_told_though_nobody_can_say_how_far_it_is(own_shop: Site) -> None:
    client = own_shop.client("operator")
    token = {"X-CSRFToken": own_shop.token(client)}
    hosts: Any = AwayHosts()
    own_shop.state.hosts = hosts
    made = client.post("/api/v1/policies", json={"text": POLICY, "reason": "try"}, headers=token)
    assert (made.status_code, made.headers["ETag"]) == (201, '"3"')
    assert (made.get_json()["revision"], made.get_json()["rollout"]) == (3, None)
    assert client.get("/api/v1/policies").status_code == 503
    assert own_shop.state.policies.current().revision == 3


def test_an_invalid_policy_lists_every_problem(own_shop: Site) -> None:
    client = own_shop.client("operator")
    token = {"X-CSRFToken": own_shop.token(client)}
    wrong = POLICY.replace("action: allow", "action: alow")
    answer = client.post("/api/v1/policies", json={"text": wrong, "reason": "try"}, headers=token)
    assert answer.status_code == 422
    assert len(answer.get_json()["problems"]) > 3
    checked = client.post("/api/v1/policies/check", json={"text": wrong}, headers=token).get_json()
    assert checked["problems"] == answer.get_json()["problems"]
    assert not checked["valid"]


def test_a_change_needs_a_reason(own_shop: Site) -> None:
    client = own_shop.client("operator")
    answer = client.post("/api/v1/policies", json={"text": ""}, headers={"X-CSRFToken": own_shop.token(client)})
    assert answer.status_code == 422


def test_a_check_says_what_would_change(own_shop: Site) -> None:
    client = own_shop.client("operator")
    token = {"X-CSRFToken": own_shop.token(client)}
    change = client.post("/api/v1/policies/check", json={"text": ""}, headers=token).get_json()["change"]
    assert change["opened"]
    assert change["rules"]["opened"]


def test_every_revision_is_reached_by_the_cursor(shop: Site) -> None:
    client = shop.client("viewer")
    rows = pages(client, "/api/v1/policies/history", "revisions", limit=1)
    assert [row["revision"] for row in rows] == [2, 1, 0]
    assert client.get("/api/v1/policies/history?cursor=-1").status_code == 400


def test_history_is_there_to_read(shop: Site) -> None:
    client = shop.client("viewer")
    rows = client.get("/api/v1/policies/history").get_json()["revisions"]
    assert [row["revision"] for row in rows] == [2, 1, 0]
    assert client.get("/api/v1/policies/history/1").get_json()["text"] == POLICY
    assert client.get("/api/v1/policies/history/9").status_code == 404

"""The API of flows."""

from __future__ import annotations

from tests.support.site import Site


def test_pages_follow_each_other_without_repetition(shop: Site) -> None:
    client = shop.client("viewer")
    seen: list[str] = []
    cursor = ""
    while True:
        answer = client.get("/api/v1/flows", query_string={"range": "24h", "limit": "1000", "cursor": cursor})
        body = answer.get_json()
        seen += [row["flow_id"] for row in body["flows"]]
        cursor = body["cursor"]
        if cursor is None:
            break
        assert 'rel="next"' in answer.headers["Link"]
    assert len(seen) == len(set(seen)) == body["total"]


def test_one_flow_has_every_column(shop: Site) -> None:
    client = shop.client("viewer")
    row = client.get("/api/v1/flows?range=24h&limit=1&q=verdict:+denied").get_json()["flows"][0]
    assert client.get(f"/api/v1/flows/{row['flow_id']}").get_json() == row
    assert row["src_bytes"] is None or row["src_bytes"] >= 0
    assert client.get("/api/v1/flows/nothing").status_code == 404


def test_a_flow_is_explained_at_both_ends_with_the_fields_that_are_declared(shop: Site) -> None:
    client = shop.client("viewer")
    row = client.get("/api/v1/flows?range=24h&limit=1&q=verdict:+denied").get_json()["flows"][0]
    found = client.get(f"/api/v1/flows/{row['flow_id']}/explanation").get_json()
    assert (found["outcome"], found["rule"], found["agrees"]) == (row["staged"], row["staged_rule"], True)
    egress, ingress = found["ways"]
    assert (egress["direction"], egress["kernel_rule"], egress["agrees"]) == ("egress", row["egress_rule"], True)
    assert [tier["ending"] for tier in egress["tiers"]] == ["default"]
    assert egress["tiers"][0]["policies"][0]["rules"][0]["differs"] == "peer and service"
    paths = client.get("/api/v1/openapi.json").get_json()["paths"]
    operation = paths["/api/v1/flows/{flow_id}/explanation"]["get"]
    declared = operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    assert set(declared) == set(found)
    assert set(declared["ways"]["items"]["properties"]) == set(ingress)
    assert set(declared["ways"]["items"]["properties"]["tiers"]["items"]["properties"]) == set(egress["tiers"][0])
    assert client.get("/api/v1/flows/nothing/explanation").status_code == 404


def test_the_histogram_and_the_edges_count_the_same(shop: Site) -> None:
    client = shop.client("viewer")
    bars = client.get("/api/v1/flows/histogram?range=7d").get_json()
    edges = client.get("/api/v1/flows/edges?range=7d").get_json()
    total = sum(sum(bars[name]) for name in ("allowed", "denied", "staged_denied", "unknown"))
    assert total == sum(edge["flows"] for edge in edges["edges"])
    assert edges["complete"]


def test_gaps_go_along_with_every_answer(shop: Site) -> None:
    body = shop.client("viewer").get("/api/v1/flows?range=24h").get_json()
    assert [gap["lost"] for gap in body["gaps"]] == [None, 1204]


def test_a_comparison_tells_whether_the_window_before_was_watched(shop: Site, site: Site) -> None:
    body = shop.client("viewer").get("/api/v1/flows/edges?range=24h&compare=1").get_json()
    assert body["before_watched"] == "partly"
    assert {edge["change"] for edge in body["edges"]} >= {"new", ""}
    assert site.client("viewer").get("/api/v1/flows/edges?compare=1").get_json()["before_watched"] == "no"


def test_fields_are_named(shop: Site) -> None:
    names = [item["name"] for item in shop.client("viewer").get("/api/v1/flows/fields").get_json()["fields"]]
    assert "community_id" in names


def test_hostile_parameters_are_refused_in_words(shop: Site) -> None:
    client = shop.client("viewer")
    for query in ("q='; drop table flows--", "cursor=' or 1=1", "from=1e99", "q=" + "(" * 3000, 'tz=../../x&q="a'):
        answer = client.get(f"/api/v1/flows?{query}")
        assert answer.status_code in (400, 422), query
        assert answer.get_json()["detail"]


def test_flows_come_sorted_page_by_page(shop: Site) -> None:
    client = shop.client("viewer")
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None and len(seen) < 90:
        query = {"range": "24h", "sort": "-dst_port", "limit": 30} | ({"cursor": cursor} if cursor else {})
        body = client.get("/api/v1/flows", query_string=query).get_json()
        seen += [row["dst_port"] for row in body["flows"] if row["dst_port"] is not None]
        cursor = body["cursor"]
    assert len(seen) > 60
    assert seen == sorted(seen, reverse=True)
    assert client.get("/api/v1/flows?sort=colour").status_code == 400

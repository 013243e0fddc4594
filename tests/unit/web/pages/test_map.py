"""Map."""

from __future__ import annotations

import json
import re
from datetime import timedelta

from ringfence.model.flow import FlowBatch
from tests.support.estate import flow_row, flow_table
from tests.support.site import Site


def edges(text: str) -> list[dict[str, object]]:
    found = re.search(r'id="map-data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return list(json.loads(found.group(1))["edges"])


def test_picture_and_table_show_the_same_edges(shop: Site) -> None:
    client = shop.client("viewer")
    picture = edges(client.get("/map?range=24h").text)
    table = client.get("/map?range=24h&view=table").text
    assert len(picture) == table.count("<tr data-href") == 16


def test_the_table_is_sorted_by_its_heads(shop: Site) -> None:
    text = shop.client("viewer").get("/map?range=24h&view=table&sort=-flows").text.split("<tbody>")[1]
    flows = [int(part.rsplit(">", 1)[1]) for part in text.split('<span class="only-narrow"> flow')[:-1]]
    assert flows == sorted(flows, reverse=True)
    assert len(flows) == 16


def test_the_filter_of_the_flows_holds_here_too(shop: Site) -> None:
    found = edges(shop.client("viewer").get("/map?range=24h&q=verdict:+denied").text)
    assert {edge["shown"] for edge in found} == {"denied"}
    assert shop.client("viewer").get("/map?q=verdict:").status_code == 400


def test_compared_with_the_window_before(shop: Site) -> None:
    assert (
        '<span class="tag change-new">new</span>'
        in shop.client("viewer").get("/map?range=24h&view=table&compare=1").text
    )


def test_a_comparison_says_what_the_earlier_window_lacks(shop: Site, site: Site) -> None:
    text = shop.client("viewer").get("/map?range=24h&view=table&compare=1").text
    assert "not watched from the start of the window: shop-1, shop-2" in text
    assert "in the two windows compared" in text
    assert "Nothing can be called new" in site.client("viewer").get("/map?compare=1").text


def test_labels_are_offered_for_grouping_and_nonsense_is_refused(shop: Site) -> None:
    client = shop.client("viewer")
    text = client.get("/map?range=24h&group=label.role").text
    assert '<option value="label.role" selected>role</option>' in text
    assert '<option value="label.app">app</option>' in text
    wrong = client.get("/map?range=24h&group=galaxy")
    assert wrong.status_code == 400
    assert "There is no grouping by “galaxy”" in wrong.text


def test_an_edge_opens_with_its_services(shop: Site) -> None:
    client = shop.client("viewer")
    edge = edges(client.get("/map?range=24h").text)[0]
    panel = client.get("/map/edge", query_string={"range": "24h", "edge": edge["id"]}).text
    assert "24 denied" in panel
    assert client.get("/map/edge?edge=nothing").status_code == 404


def test_an_edge_that_is_gone_opens_where_the_picture_shows_it(own_shop: Site) -> None:
    then = own_shop.clock() - timedelta(hours=30)
    ends = {"src_workload": "", "src_name": "former", "dst_workload": "", "dst_name": "elsewhere"}
    row = flow_row(20_001, host="shop-1", started=then, last_seen=then, **ends)
    own_shop.flows.append(FlowBatch(id="former", host="shop-1", flows=flow_table(row)))
    client = own_shop.client("viewer")
    found = {edge["change"]: edge["id"] for edge in edges(client.get("/map?range=24h&compare=1").text)}
    query = {"range": "24h", "compare": "1", "edge": found["gone"]}
    panel = client.get("/map/edge", query_string=query)
    assert panel.status_code == 200 and "former" in panel.text
    assert client.get("/map/edge", query_string=query | {"compare": ""}).status_code == 404


def test_a_file_has_the_edges_of_the_table_in_its_order(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    rows = [json.loads(line) for line in client.get("/map/export.json?range=24h&sort=-bytes").text.splitlines()]
    rows = [row for row in rows if "remark" not in row]
    assert len(rows) == 16
    assert [row["bytes"] for row in rows] == sorted((row["bytes"] for row in rows), reverse=True)
    assert any("tcp/5432" in row["services"] for row in rows)
    assert "change" not in rows[0]
    denied = client.get("/map/export.json?range=24h&q=verdict:+denied").text
    assert {json.loads(line).get("verdict", "denied") for line in denied.splitlines()} == {"denied"}


def test_a_file_of_a_comparison_has_the_change_and_its_doubts(own_shop: Site) -> None:
    text = own_shop.client("auditor").get("/map/export.json?range=24h&compare=1").text
    assert {json.loads(line).get("change", "remark") for line in text.splitlines()} >= {"new", "remark"}
    assert "may only have been missed" in text and text.count("gap on shop-1") == 2


def test_a_file_calls_nothing_new_where_nobody_watched_before(site: Site) -> None:
    assert "nothing is called new or gone" in site.client("auditor").get("/map/export.csv?compare=1").text


def test_the_edges_that_are_drawn_as_one_between_groups_open_together(shop: Site) -> None:
    client = shop.client("viewer")
    query = {"range": "24h", "group": "label.role", "edge": "group:coupon>group:db"}
    for path in ("/map", "/map/edge"):
        text = client.get(path, query_string=query).text
        assert "1 edge between groups" in text
        assert "coupon → db" in text
    assert client.get("/map/edge", query_string=query | {"edge": "group:coupon>group:nobody"}).status_code == 404


def test_the_picture_says_what_is_new_and_the_table_follows(shop: Site, site: Site) -> None:
    client = shop.client("viewer")
    assert "data-news hidden" in client.get("/map?range=24h").text
    assert "data-news" not in client.get("/map?range=24h&view=table").text
    for one in (shop, site):
        assert 'data-refresh="edges" data-follow="flows"' in one.client("viewer").get("/map?view=table").text

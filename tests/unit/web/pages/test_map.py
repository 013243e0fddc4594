"""Map."""

from __future__ import annotations

import json
import re

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

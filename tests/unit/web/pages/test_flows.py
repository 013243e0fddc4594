"""Flows."""

from __future__ import annotations

import csv
import html
import io
import json
import re

from ringfence.demo.shop import POLICY
from ringfence.model.event import EventAction
from ringfence.model.flow import COLUMNS, FlowBatch
from tests.support.estate import flow_row, flow_table
from tests.support.site import Site


def test_the_list_holds_a_page_and_the_way_to_the_next(shop: Site) -> None:
    client = shop.client("viewer")
    first = client.get("/flows?range=24h").text
    ids = re.findall(r'<tr data-flow="(\w+)"', first)
    assert len(ids) == 100
    link = re.search(r'class="older".*?href="([^"]+)"', first, re.DOTALL)
    assert link is not None
    second = re.findall(r'<tr data-flow="(\w+)"', client.get(link.group(1).replace("&amp;", "&")).text)
    assert not set(ids) & set(second)


def test_rows_alone_are_a_fragment(shop: Site) -> None:
    text = shop.client("viewer").get("/flows/rows?range=24h&q=verdict:+denied").text
    assert text.count("<tr data-flow") == 48
    assert "<html" not in text


def test_a_wrong_filter_is_shown_with_its_place_and_no_rows(shop: Site) -> None:
    answer = shop.client("viewer").get("/flows?q=verdict:+denied+and+dst_prt:+5")
    assert answer.status_code == 400
    assert "<mark>d</mark>" in answer.text
    assert "did you mean dst_port" in answer.text
    assert "data-flow" not in answer.text


def test_an_impossible_range_shows_nothing_and_the_way_out(shop: Site) -> None:
    answer = shop.client("viewer").get("/flows?from=2026-02-02&to=2026-02-01")
    assert answer.status_code == 400
    assert "impossible" in answer.text
    assert "data-flow" not in answer.text


def test_an_empty_list_says_what_is_in_the_way(shop: Site) -> None:
    text = shop.client("viewer").get("/flows?range=24h&q=verdict:+denied+and+dst.name:+mail").text
    assert "48 flows" in text
    assert "dst.name: mail" in text


def test_the_address_opens_the_story(shop: Site) -> None:
    client = shop.client("operator")
    flow_id = re.findall(r'data-flow="(\w+)"', client.get("/flows?range=24h&q=verdict:+denied").text)[0]
    text = client.get(f"/flows?range=24h&flow={flow_id}").text
    assert "What decided" in text
    assert "Quarantine coupon" in text
    assert client.get(f"/flows/panel/{flow_id}").text.startswith("<header>") or "<header>" in text
    assert client.get("/flows/panel/nothing").status_code == 404


def test_the_story_tells_both_ends_tier_by_tier_with_the_policy_lines(shop: Site) -> None:
    client = shop.client("viewer")
    flow_id = re.findall(r'data-flow="(\w+)"', client.get("/flows?range=24h&q=verdict:+denied").text)[0]
    panel = client.get(f"/flows/panel/{flow_id}").text
    trace = panel[panel.index("Tier by tier") :]
    assert "At the source (egress)" in trace and "At the destination (ingress)" in trace
    assert "denied by its default" in trace
    line = next(number for number, text in enumerate(POLICY.splitlines(), 1) if "name: application" in text)
    assert f'href="/policies/1?line={line}#L{line}"' in trace
    assert "another peer and service" in trace
    assert trace.count("<details") == 2 and trace.count(" open>") == 1


def test_of_many_rules_that_did_not_match_the_last_are_shown_and_what_differs_is_said(site: Site) -> None:
    many = "".join(f"      - {{action: allow, protocol: tcp, ports: [{port}]}}\n" for port in range(1, 41))
    head = "version: 1\ntiers: [{name: t}]\npolicies:\n  - name: p\n    tier: t\n    selector: all()\n    ingress:\n"
    site.state.policies.apply(text=head + many, author="ada", reason="r", at=site.clock())
    now = site.clock()
    row = flow_row(1, revision=1, started=now, last_seen=now, dst_port=40, staged="denied", staged_rule="t/p/ingress/7")
    site.flows.append(FlowBatch(id="b", host="h1", flows=flow_table(row)))
    panel = site.client("viewer").get(f"/flows/panel/{row['flow_id']}").text
    assert "10 rules before these did not match" in panel
    assert '<ol class="asked" start="11">' in panel
    assert "line 47: matches" in panel and "line 46: another service" in panel
    assert "With the flow stands denied by t/p/ingress/7; revision 1, asked again" in panel
    assert "Workload api is not known any more" in panel


def test_an_export_has_what_is_shown_and_is_recorded(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    answer = client.get("/flows/export.csv?range=24h&q=verdict:+denied")
    rows = [row for row in csv.reader(io.StringIO(answer.text)) if not row[0].startswith("#")]
    assert len(rows) == 49
    assert "attachment" in answer.headers["Content-Disposition"]
    assert "# gap on shop-1" in answer.text
    last = list(own_shop.audit.records())[-1].event
    assert (last.action, last.detail["flows"]) == (EventAction.EXPORT, 48)
    assert client.get("/flows/export.json?range=24h&q=verdict:+denied").text.count('"flow_id"') == 48
    assert client.get("/flows/export.xml").status_code == 404


def test_an_export_has_the_columns_on_screen(own_shop: Site) -> None:
    client = own_shop.client("auditor")

    def head(query: str) -> list[str]:
        text = client.get(f"/flows/export.csv?range=24h&q=verdict:+denied{query}").text
        return next(csv.reader(text.splitlines()))

    assert head("&cols=community_id,host") == ["flow_id", "started", "enforced", "staged", "community_id", "host"]
    assert {"src_name", "dst_port", "rule", "dst_bytes"} < set(head(""))
    assert "community_id" not in head("")
    assert head("&cols=all") == [column.name for column in COLUMNS]
    line = client.get("/flows/export.json?range=24h&q=verdict:+denied&cols=host").text.split("\n")[0]
    assert list(json.loads(line)) == ["flow_id", "started", "enforced", "staged", "host"]


def test_a_name_and_an_address_lead_to_their_workload(shop: Site) -> None:
    text = shop.client("viewer").get("/flows?range=24h&q=verdict:+denied").text
    page = f'data-page="/workloads/{shop.workloads()["coupon"].id}"'
    assert text.count(f'data-field="src_name" data-value="coupon" {page}') == 48
    assert text.count(page) == 96


def test_a_cursor_that_is_none_is_an_error_in_words(shop: Site) -> None:
    answer = shop.client("viewer").get("/flows?cursor=%00nonsense")
    assert answer.status_code == 400
    assert "Traceback" not in answer.text


def test_chosen_columns_are_shown(shop: Site) -> None:
    text = shop.client("viewer").get("/flows?range=24h&cols=community_id,host").text
    assert '<th class="">community id</th>' in text
    assert "k-source" not in text


def test_suggestions_answer_while_typing(shop: Site) -> None:
    body = shop.client("viewer").get("/flows/suggest?q=verd").get_json()
    assert body["suggestions"][0]["text"] == "verdict: "
    assert body["valid"]
    assert not shop.client("viewer").get("/flows/suggest?q=verdict:").get_json()["valid"]


def test_live_rows_are_the_same_rows(site: Site) -> None:
    site.feed.close()
    text = site.client("viewer").get("/flows/live").text
    assert "event: hello" in text


def test_a_head_sorts_the_whole_list_not_only_the_page(shop: Site) -> None:
    client = shop.client("viewer")
    pages: list[str] = []
    address = "/flows/rows?range=24h&sort=-bytes"
    for _ in range(2):
        pages.append(client.get(address).text)
        address = html.unescape(pages[-1].split('hx-get="')[1].split('"')[0])
    sizes = [
        sum(int(number.replace(",", "")) for number in re.findall(r"([\d,]+) B", title))
        for title in re.findall(r'title="([\d,]+ B sent, [\d,]+ B received)"', "".join(pages))
    ]
    assert len(sizes) == 200
    assert sizes == sorted(sizes, reverse=True)
    assert 'aria-sort="descending"' in client.get("/flows?range=24h&sort=-bytes").text
    assert client.get("/flows?sort=colour").status_code == 400


def test_an_export_keeps_the_order_on_screen(own_shop: Site) -> None:
    text = own_shop.client("auditor").get("/flows/export.json?range=24h&q=verdict:+denied&sort=dst_port").text
    ports = [json.loads(line)["dst_port"] for line in text.splitlines() if "flow_id" in line]
    assert ports == sorted(ports)
    assert len(ports) == 48


def test_an_empty_list_has_its_table_too_for_what_comes_live(site: Site) -> None:
    text = site.client("viewer").get("/flows").text
    assert '<div class="scrolling" hidden>' in text
    assert 'class="lines flows sticky"' in text
    assert "No flows match" in text.split("data-nothing")[1]

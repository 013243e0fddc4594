"""Pages follow what changes: without a reload, without losing what is typed, without moving what is looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from ringfence.model.flow import FlowBatch
from ringfence.model.quarantine import QuarantineState
from ringfence.store.state import HostStatus, ReportRecord
from tests.support.browser import Gate
from tests.support.estate import flow_row, flow_table
from tests.support.site import Site, proof

pytestmark = pytest.mark.browser
expect.set_options(timeout=20_000)


def mark(page: Page) -> None:
    page.evaluate("window.marked = true")


def marked(page: Page) -> bool:
    """Whether the document is still the one that was marked: nothing was loaded anew."""
    return bool(page.evaluate("window.marked === true"))


def arrive(site: Site, number: int, **values: object) -> None:
    now = site.clock()
    row = flow_row(number, host="shop-1", started=now, last_seen=now, **values)
    site.flows.append(FlowBatch(id=f"live-{number}", host="shop-1", flows=flow_table(row)))
    site.feed.publish("flows", {"rows": []})


def test_a_reason_that_is_being_typed_stays_while_the_proof_is_renewed(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    page.goto("/quarantine/q-coupon")
    reason = page.get_by_label("Reason for the release")
    reason.fill("a false al")
    mark(page)
    order = site.state.quarantines.get("q-coupon")
    assert order is not None
    site.state.quarantines.settle(replace(order, state=QuarantineState.PARTIAL, proof=proof(site.clock())))
    site.feed.publish("quarantine", {})
    expect(page.locator("#quarantine")).to_contain_text("not every check passed")
    page.keyboard.type("arm")
    expect(reason).to_have_value("a false alarm")
    expect(reason).to_be_focused()
    site.state.quarantines.wish_release("q-coupon", at=site.clock(), by="bob")
    site.feed.publish("quarantine", {})
    expect(page.locator("#quarantine")).to_contain_text("are being put back")
    expect(reason).to_have_count(0)
    assert marked(page)


def test_a_quarantine_page_asks_for_nothing_while_nothing_changes(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/quarantine/q-coupon")
    expect(page.locator("html")).to_have_attribute("data-alive", "yes")
    page.wait_for_timeout(2_500)
    assert sum(url.endswith("/quarantine/q-coupon") for url in asked) == 1


def test_a_quarantine_appears_in_the_list(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    site.enforce = False
    page.goto("/quarantine")
    mark(page)
    target = site.workloads()["db"].id
    site.post(site.client("admin"), f"/quarantine/plan/{target}", {"reason": "it scans", "duration": "1h"})
    site.feed.publish("quarantine", {})
    row = page.locator("main tbody tr", has_text="it scans")
    expect(row).to_contain_text("applying")
    site.enforce = True
    site._contain()
    expect(row).to_contain_text("verified")
    assert marked(page)


def test_a_report_that_ends_is_shown_without_asking_again_and_again(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    now = site.clock()
    running = ReportRecord(
        id="r9",
        kind="flow",
        title="Flow report",
        created=now,
        author="ada",
        parameters={},
        digest="",
        files={},
        state="running",
        step="edges",
    )
    site.state.reports.save(running)
    page.goto("/reports")
    row = page.locator("section[data-refresh=reports] tbody tr", has_text="Flow report")
    expect(row).to_contain_text("running")
    page.locator("input[name=scope]").first.fill("role ==")
    mark(page)
    site.state.reports.save(replace(running, state="done", digest="d" * 64))
    site.feed.publish("report", {"id": "r9"})
    expect(row).to_contain_text("done")
    expect(page.locator("input[name=scope]").first).to_have_value("role ==")
    assert marked(page)


def test_what_was_asked_for_is_shown_though_the_address_changed_meanwhile(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    gate = Gate(page, "**/health", "open")
    page.goto("/health")
    row = page.locator("[data-refresh=hosts] tbody tr", has_text="shop-2")
    expect(row).to_contain_text("stale")
    gate.state = "held"
    site.state.hosts.report(HostStatus(host="shop-2", at=site.clock(), facts={}))
    with page.expect_request("**/health"):
        site.feed.publish("host", {})
    page.evaluate("history.pushState({}, '', '#gaps')")
    gate.release()
    expect(row).to_contain_text("reporting")


def test_health_counts_the_silence_of_a_host_and_sees_it_come_back(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    page.goto("/health")
    mark(page)
    row = page.locator("[data-refresh=hosts] tbody tr", has_text="shop-2")
    expect(row).to_contain_text("stale")
    before = row.locator("time").inner_text()
    expect(row.locator("time")).not_to_have_text(before)
    site.state.hosts.report(HostStatus(host="shop-2", at=site.clock(), facts={}))
    site.feed.publish("host", {})
    expect(row).to_contain_text("reporting")
    assert marked(page)


def test_the_list_of_workloads_waits_under_the_pointer(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    page.goto("/workloads")
    mark(page)
    rows = page.locator("main tbody tr")
    rows.nth(4).hover()
    gone = site.workloads()["mail"]
    site.state.workloads.save([replace(gone, ended=site.clock())])
    site.feed.publish("workload", {})
    expect(page.locator("[data-updates]")).to_contain_text("paused")
    expect(rows).to_have_count(12)
    page.mouse.move(5, 5)
    expect(rows).to_have_count(11)
    expect(page.locator("[data-updates]")).to_be_hidden()
    assert marked(page)


def test_the_map_says_what_is_new_and_moves_nothing(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    page.goto("/map?range=24h")
    expect(page.locator("#map-canvas canvas").first).to_be_visible()
    before = page.evaluate(WHERE)
    news = page.locator("[data-news]")
    expect(news).to_be_hidden()
    arrive(site, 20_001, src_workload="", src_name="newcomer", dst_workload="", dst_name="elsewhere", src_port=40_000)
    expect(news).to_contain_text("1 edge new")
    assert page.evaluate(WHERE) == before
    news.get_by_role("link", name="Show it").click()
    expect(news).to_be_hidden()
    expect(page.locator("#map-canvas canvas").first).to_be_visible()
    after = page.evaluate(WHERE)
    assert "newcomer" in after
    moved = [
        node
        for node, place in before.items()
        if abs(after[node]["x"] - place["x"]) + abs(after[node]["y"] - place["y"]) > 1
    ]
    assert moved == []


WHERE = """() => Object.fromEntries(
    document.getElementById("map-canvas").map.nodes(":childless").map(node => [node.id(), node.position()]))"""


def test_an_edge_of_a_renewed_table_opens_beside_it(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    page.goto("/map?range=24h&view=table")
    expect(page.locator("html")).to_have_attribute("data-alive", "yes")
    mark(page)
    arrive(site, 20_001, src_workload="", src_name="newcomer", dst_workload="", dst_name="elsewhere")
    page.locator("main tbody tr", has_text="newcomer").locator("td.num a").click()
    expect(page.locator("#panel")).to_contain_text("Services")
    assert marked(page)


def test_a_line_between_groups_opens_all_that_it_stands_for(page: Page, shop: tuple[Site, str]) -> None:
    """Above 150 nodes groups are drawn; here their number is lowered instead of making so many."""
    page.route(
        "**/map.js*", lambda route: route.fulfill(body=few(route.fetch().text()), content_type="text/javascript")
    )
    page.goto("/map?range=24h&group=label.role")
    expect(page.locator("#map-canvas canvas").first).to_be_visible()
    page.evaluate("void document.getElementById('map-canvas').map.getElementById('group:coupon>group:db').emit('tap')")
    panel = page.locator("#panel")
    expect(panel).to_contain_text("coupon → db")
    page.reload()
    expect(panel).to_contain_text("1 edge between groups")
    panel.get_by_role("link", name="24", exact=True).click()
    expect(panel).to_contain_text("Services")


def few(source: str) -> str:
    assert "COLLAPSE_ABOVE = 150" in source
    return source.replace("COLLAPSE_ABOVE = 150", "COLLAPSE_ABOVE = 3")


def test_the_first_live_row_of_an_empty_list_needs_no_reload(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    page.goto("/flows?q=src_name%3A+newcomer")
    expect(page.get_by_role("heading", name="No flows match")).to_be_visible()
    expect(page.locator("table.flows")).to_be_hidden()
    mark(page)
    page.get_by_role("button", name="Live").click()
    expect(page.locator("[data-live-state]")).to_have_text("live")
    arrive(site, 20_001, src_name="newcomer", src_port=40_000)
    expect(page.locator("table.flows tbody tr", has_text="newcomer")).to_have_count(1)
    expect(page.get_by_role("heading", name="1 flow", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="No flows match")).to_have_count(0)
    arrive(site, 20_002, src_name="newcomer", src_port=40_001)
    expect(page.locator("table.flows tbody tr", has_text="newcomer")).to_have_count(2)
    page.locator("table.flows tbody tr").first.locator("td.k-verdict").click(position={"x": 2, "y": 2})
    assert marked(page)


def test_columns_of_a_list_that_was_empty_are_measured_once_it_has_rows(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    page.evaluate("""localStorage.setItem("ringfence.flows.widths", '{"source": 300}')""")
    page.goto("/flows?q=src_name%3A+newcomer")
    page.get_by_role("button", name="Live").click()
    expect(page.locator("[data-live-state]")).to_have_text("live")
    arrive(site, 20_001, src_name="newcomer", src_port=40_000)
    expect(page.get_by_role("separator", name="Width of Source")).to_have_attribute("aria-valuenow", "300")
    widths = page.locator("table.flows th").evaluate_all("heads => heads.map(head => head.offsetWidth)")
    assert 300 in widths
    assert min(widths) >= 40

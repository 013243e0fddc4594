"""The dashboard in a real browser, over embedded stores: what a person does, without console or CSP complaints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from ringfence.demo.shop import POLICY
from ringfence.model.flow import FlowBatch
from tests.support.browser import Complaints, open_page, sign_in
from tests.support.estate import flow_row, flow_table
from tests.support.site import Site
from web.bootstrap import create_bootstrap_link

pytestmark = pytest.mark.browser
expect.set_options(timeout=20_000)

PATHS = (
    *("/", "/flows?range=24h", "/map?range=24h", "/map?range=24h&view=table", "/workloads", "/policies"),
    *("/policies/edit", "/findings", "/quarantine", "/reports", "/audit", "/health", "/account", "/users"),
)


def parameters(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def test_the_one_time_link_makes_the_first_administrator(browser: Browser, shop: tuple[Site, str]) -> None:
    site, base = shop
    site.without_administrator()
    page = open_page(browser, Complaints())
    link = create_bootstrap_link(site.state, base, site.clock)
    page.goto(link)
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password, at least 10 characters").fill("a long enough phrase")
    page.get_by_label("The same again").fill("a long enough phrase")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.locator(".status").first).to_contain_text("violate policy")
    page.goto(link)
    expect(page.locator("body")).to_contain_text("has been used")
    page.context.close()


def test_every_page_loads_without_a_complaint_and_fits_a_phone(page: Page) -> None:
    too_wide = []
    for path in PATHS:
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(path)
        expect(page.locator("main")).to_be_visible()
        page.set_viewport_size({"width": 390, "height": 800})
        page.reload()
        if page.evaluate("document.documentElement.scrollWidth - innerWidth") > 0:
            too_wide.append(path)
    assert too_wide == []


def test_a_missing_module_is_a_complaint(browser: Browser, shop: tuple[Site, str]) -> None:
    found = Complaints()
    page = open_page(browser, found, base_url=shop[1])
    page.goto("/login")
    page.add_script_tag(url=f"{shop[0].app.static_url_path}/js/bar.js", type="module")
    assert found.texts == []
    page.evaluate(f"import('{shop[0].app.static_url_path}/js/no-such-module.js').catch(() => null)")
    assert [text.partition(" ")[0] for text in found.texts] == ["404"]
    page.context.close()


def test_flows_are_filtered_by_typing_and_by_clicking_values(page: Page) -> None:
    page.goto("/flows?range=24h")
    page.keyboard.press("/")
    page.keyboard.type("verdict: denied")
    expect(page.locator(".bar .entry")).to_have_attribute("data-valid", "yes")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="48 flows")).to_be_visible()
    page.locator("td.k-destination a", has_text="cache").first.click()
    expect(page.get_by_role("heading", name="24 flows")).to_be_visible()
    assert parameters(page)["q"] == "verdict: denied and dst_name: cache"
    page.locator("td.k-service a", has_text="443").first.click(button="right")
    page.get_by_role("menuitem", name="Not this").click()
    expect(page.locator(".token")).to_have_count(3)
    page.go_back()
    expect(page.get_by_role("heading", name="24 flows")).to_be_visible()


def test_a_head_sorts_and_a_name_leads_to_its_workload(page: Page) -> None:
    page.goto("/flows?range=24h&q=verdict%3A+denied")
    page.get_by_role("link", name="Service").click()
    expect(page.get_by_role("columnheader", name="Service")).to_have_attribute("aria-sort", "ascending")
    assert parameters(page)["sort"] == "dst_port"
    expect(page.locator("td.k-service").first).to_contain_text("22")
    page.locator("td.k-source a", has_text="coupon").first.click(button="right")
    page.get_by_role("menuitem", name="Open the workload").click()
    expect(page.get_by_role("heading", name="coupon", level=1)).to_be_visible()


def test_findings_are_filtered_in_their_own_words(page: Page) -> None:
    page.goto("/findings")
    page.keyboard.press("/")
    page.keyboard.type("severity: hi")
    page.get_by_role("option", name="severity: high").click()
    page.keyboard.press("Enter")
    expect(page.locator("main tbody tr")).to_have_count(1)
    expect(page.locator("main tbody tr")).to_contain_text("Rules of db were changed")


def test_a_wrong_filter_shows_where_it_is_wrong(page: Page, complaints: Complaints) -> None:
    complaints.expected.add((400, "/flows"))
    page.goto("/flows?range=24h")
    page.get_by_label("Filter").fill("verdict: denied and dst_prt: 5")
    expect(page.locator(".bar .entry")).to_have_attribute("data-valid", "no")
    expect(page.locator("#bar-error mark")).to_have_text("d")
    expect(page.locator("#bar-error")).to_contain_text("did you mean dst_port")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#bar-error mark")).to_have_text("d")
    expect(page.locator("table.flows")).to_have_count(0)


def test_an_impossible_time_range_is_said_and_left_with_one_click(page: Page, complaints: Complaints) -> None:
    complaints.expected.add((400, "/flows"))
    page.goto("/flows?from=2026-02-02T00:00&to=2026-02-01T00:00")
    expect(page.get_by_role("alert").filter(has_text="impossible")).to_contain_text("ends before it starts")
    page.get_by_role("link", name="Show the last hour").click()
    expect(page.locator("table.flows")).to_be_visible()


def test_a_flow_opens_beside_the_list_and_the_address_keeps_it(page: Page) -> None:
    page.goto("/flows?range=24h&q=verdict%3A+denied")
    page.locator("table.flows tbody tr").nth(3).locator("td.k-verdict").click(position={"x": 2, "y": 2})
    page.goto("/flows?range=24h&q=verdict%3A+denied")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    panel = page.locator("#panel")
    expect(panel).to_contain_text("What decided")
    assert parameters(page)["flow"]
    page.reload()
    expect(panel).to_contain_text("application/egress/default")
    panel.get_by_role("link", name="application/egress/default").first.click()
    expect(page.locator(".l.marked")).to_contain_text("default: deny")
    page.go_back()
    page.keyboard.press("Escape")
    expect(panel).to_be_empty()
    assert "flow" not in parameters(page)


def test_the_histogram_is_drawn_and_a_brush_sets_the_range(page: Page) -> None:
    page.goto("/flows?range=24h")
    over = page.locator(".chart .u-over")
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 40, steps=5)
    page.mouse.up()
    page.wait_for_url("**from=**")
    assert int(parameters(page)["to"]) > int(parameters(page)["from"])


def test_the_live_tail_shows_new_flows_and_waits_under_the_pointer(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop

    def arrive(number: int) -> None:
        now = site.clock()
        row = flow_row(
            number, src_port=40_000, host="shop-1", started=now, last_seen=now, src_name="newcomer", staged="allowed"
        )
        site.flows.append(FlowBatch(id=f"live-{number}", host="shop-1", flows=flow_table(row)))
        site.feed.publish("flows", {"rows": []})

    page.goto("/flows?q=verdict%3A+allowed")
    page.get_by_role("button", name="Live").click()
    expect(page.locator("[data-live-state]")).to_have_text("live")
    arrive(900_001)
    expect(page.locator("tbody tr").first).to_contain_text("newcomer")
    page.locator("tbody tr").nth(2).hover()
    arrive(900_002)
    expect(page.locator("[data-live-state]")).to_have_text("paused: 1 row waits")
    page.mouse.move(5, 400)
    expect(page.locator("tbody tr", has_text="newcomer")).to_have_count(2)
    page.get_by_role("button", name="Stop").click()
    assert "live" not in parameters(page)


def test_of_too_many_windows_the_oldest_say_that_they_are_not_live(page: Page) -> None:
    page.goto("/flows?q=verdict%3A+allowed")
    page.get_by_role("button", name="Live").click()
    expect(page.locator("[data-live-state]")).to_have_text("live")
    others = [page.context.new_page() for _ in range(4)]
    for other in others:
        other.goto("/findings")
    expect(page.locator("[data-live-state]")).to_contain_text("Newer windows of yours are live")
    expect(others[-1].locator("[data-updates]")).to_be_hidden()


def test_a_hidden_window_holds_no_stream_and_catches_up(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    page.goto("/findings")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))

    def show(visible: bool) -> None:
        page.evaluate(
            """visible => {
                Object.defineProperty(document, "hidden", { value: !visible, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            visible,
        )

    with page.expect_request("**/findings"):
        site.feed.publish("finding", {})
    show(False)
    site.feed.publish("finding", {})
    page.wait_for_timeout(1_500)
    assert sum(url.endswith("/findings") for url in requests) == 1
    with page.expect_request("**/findings"), page.expect_request("**/changes?after=*"):
        show(True)


def test_a_page_whose_session_has_ended_says_that_it_is_not_live(
    page: Page, shop: tuple[Site, str], complaints: Complaints
) -> None:
    site, _ = shop
    complaints.expected.add((401, "/changes"))
    page.goto("/findings")
    user = site.state.users.get("admin")
    assert user is not None
    site.state.users.save(replace(user, session_epoch=user.session_epoch + 1))
    site.feed.publish("finding", {})
    expect(page.locator("[data-updates]")).to_contain_text("not live")


def test_the_map_and_its_table_are_one_key_apart(page: Page) -> None:
    page.goto("/map?range=24h&q=verdict%3A+denied")
    expect(page.locator("#map-canvas canvas").first).to_be_visible()
    edges = page.evaluate("document.getElementById('map-canvas').map.edges().length")
    page.keyboard.press("t")
    expect(page.locator("main tbody tr")).to_have_count(edges)
    assert parameters(page)["q"] == "verdict: denied"
    expect(page.locator("html")).to_have_attribute("data-alive", "yes")
    page.get_by_label("Group by a label").select_option("label.role")
    page.wait_for_url("**group=label.role**")
    page.locator("main tbody tr").first.locator("td.num a").first.click()
    expect(page.locator("#panel")).to_contain_text("Services")
    assert parameters(page)["edge"]


def test_a_policy_is_checked_while_it_is_typed_and_applied_with_a_reason(page: Page, shop: tuple[Site, str]) -> None:
    page.goto("/policies/edit")
    editor = page.get_by_label("Policy", exact=True)
    editor.fill(POLICY.replace("action: allow", "action: alow", 1))
    line = next(number for number, text in enumerate(POLICY.splitlines(), 1) if "action: allow" in text)
    expect(page.locator(".gutter .bad")).to_have_text(str(line))
    expect(page.locator("#check")).to_contain_text("problem")
    editor.fill(POLICY.replace("role in {'web', 'coupon'}", "role in {'web'}").split("\nassert:")[0])
    expect(page.locator("#check")).to_contain_text("may no longer")
    expect(page.locator(".gutter .bad")).to_have_count(0)
    page.get_by_label("Reason").fill("coupon is retired")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("status").filter(has_text="Revision 3 is applied")).to_be_visible()
    assert shop[0].state.policies.current().reason == "coupon is retired"


def test_a_quarantine_is_planned_ordered_seen_to_hold_and_released(page: Page, shop: tuple[Site, str]) -> None:
    page.goto(f"/workloads/{shop[0].workloads()['db'].id}")
    page.keyboard.press("x")
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("open connection")
    dialog.get_by_label("Why?").fill("it scans the network")
    dialog.get_by_role("button", name="Quarantine db").click()
    expect(page.locator("#quarantine")).to_contain_text("verified")
    expect(page.locator("#quarantine")).to_contain_text("probe from inside")
    page.get_by_label("Reason for the release").fill("false alarm")
    page.get_by_role("button", name="Release").click()
    expect(page.locator("#quarantine")).to_contain_text("released")


def test_a_report_is_made_and_downloaded(page: Page) -> None:
    page.goto("/reports")
    page.locator("tr", has_text="Flow report").get_by_role("button", name="Make").click()
    with page.expect_download() as caught:
        page.get_by_role("link", name="as HTML").first.click()
    path = caught.value.path()
    assert "<!doctype html" in Path(path).read_text(encoding="utf-8").lower()[:200]


def test_the_keyboard_goes_everywhere(page: Page) -> None:
    for key, name in (("f", "Flows"), ("w", "Workloads"), ("d", "Findings"), ("h", "Health"), ("o", "Overview")):
        expect(page.locator("html")).to_have_attribute("data-alive", "yes")
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-alive", "yes")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()


def test_the_theme_is_kept(page: Page) -> None:
    page.goto("/health")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme").click()
    page.goto("/flows")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_lists_read_without_scripts(browser: Browser, shop: tuple[Site, str]) -> None:
    page = open_page(browser, Complaints(), base_url=shop[1], java_script_enabled=False)
    sign_in(page)
    page.goto("/flows?range=24h&q=verdict%3A+denied")
    expect(page.locator("table.flows tbody tr")).to_have_count(48)
    page.locator("td.k-time a").first.click()
    expect(page.locator("#panel")).to_contain_text("What decided")
    page.goto("/map?range=24h&view=table")
    expect(page.locator("main tbody tr")).to_have_count(16)
    page.context.close()

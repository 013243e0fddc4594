"""What does not come, or not yet: said on the page, in the place where it would have stood."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from ringfence.errors import StoreUnavailable
from tests.support.browser import Complaints, Gate, open_page, sign_in
from tests.support.site import Site

pytestmark = pytest.mark.browser
expect.set_options(timeout=20_000)


@pytest.fixture
def lost(browser: Browser, shop: tuple[Site, str]) -> Iterator[Page]:
    """A page whose connection breaks: the browser itself complains of that."""
    made = open_page(browser, Complaints(), base_url=shop[1])
    sign_in(made)
    yield made
    made.context.close()


def away(**_: object) -> str:
    raise StoreUnavailable("the flow store did not answer", hint="flows wait in the spool meanwhile")


def test_a_flow_that_is_gone_is_said_in_the_panel(page: Page, shop: tuple[Site, str], complaints: Complaints) -> None:
    site, _ = shop
    page.goto("/flows?range=24h&q=verdict%3A+denied")
    flow = page.locator("table.flows tbody tr").first.get_attribute("data-flow")
    complaints.expected.add((404, f"/flows/panel/{flow}"))
    now = site.clock()
    site.flows.prune(now)
    assert site.flows.get(str(flow)) is None
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    panel = page.locator("#panel")
    expect(panel.get_by_role("alert")).to_contain_text(
        "The details cannot be shown. This flow is not stored (any more)"
    )
    expect(panel.get_by_role("button", name="Try again")).to_have_count(0)
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_empty()


def test_a_store_that_is_away_is_said_and_asked_again(
    page: Page, shop: tuple[Site, str], complaints: Complaints
) -> None:
    site, _ = shop
    target = site.workloads()["db"].id
    complaints.expected.add((503, f"/quarantine/plan/{target}"))
    page.goto(f"/workloads/{target}")
    view = site.app.view_functions["quarantine.plan"]
    site.app.view_functions["quarantine.plan"] = away
    page.keyboard.press("x")
    dialog = page.locator("#dialog")
    expect(dialog.get_by_role("alert")).to_contain_text("nothing was done")
    expect(dialog.get_by_role("alert")).to_contain_text("The flow store did not answer")
    expect(dialog.get_by_role("alert")).to_contain_text("wait in the spool")
    site.app.view_functions["quarantine.plan"] = view
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_contain_text("open connection")


def test_a_check_that_fails_keeps_what_was_typed(page: Page, shop: tuple[Site, str], complaints: Complaints) -> None:
    site, _ = shop
    complaints.expected.add((503, "/policies/check"))
    gate = Gate(page, "**/policies/check", "open")
    page.goto("/policies/edit")
    view = site.app.view_functions["policies.check"]
    site.app.view_functions["policies.check"] = away
    editor = page.get_by_label("Policy", exact=True)
    editor.fill("version: 1\n")
    expect(page.locator("#check").get_by_role("alert")).to_contain_text("it stands as it was typed")
    expect(editor).to_have_value("version: 1\n")
    site.app.view_functions["policies.check"] = view
    gate.state = "held"
    page.locator("#check").get_by_role("button", name="Try again").click()
    expect(page.locator("#check .skeleton").first).to_be_visible()
    gate.release()
    expect(page.locator("#check")).to_contain_text("Valid")


def test_the_last_check_stays_until_the_next_is_there(page: Page) -> None:
    gate = Gate(page, "**/policies/check", "open")
    page.goto("/policies/edit")
    editor, check, bad = page.get_by_label("Policy", exact=True), page.locator("#check"), page.locator(".gutter .bad")
    editor.fill("version: 1\nnonsense: true\n")
    expect(check).to_contain_text("1 problem")
    expect(bad).to_have_text("2")
    gate.state = "held"
    editor.fill("version: 1\n\nnonsense: true\n")
    expect(check).to_have_attribute("aria-busy", "true")
    expect(check).to_have_css("opacity", "0.6")
    expect(check).to_contain_text("1 problem")
    expect(bad).to_have_text("2")
    gate.release()
    expect(bad).to_have_text("3")
    expect(check).to_have_css("opacity", "1")
    assert check.get_attribute("aria-busy") is None


def test_more_flows_that_do_not_come_leave_those_that_are_there(
    page: Page, shop: tuple[Site, str], complaints: Complaints
) -> None:
    site, _ = shop
    complaints.expected.add((503, "/flows/rows"))
    page.goto("/flows?range=24h")
    before = page.locator("tr[data-flow]").count()
    view = site.app.view_functions["flows.rows"]
    site.app.view_functions["flows.rows"] = away
    page.get_by_role("link", name="Older flows").click()
    expect(page.locator("tr.older").get_by_role("alert")).to_contain_text("those above stay")
    expect(page.locator("tr[data-flow]")).to_have_count(before)
    site.app.view_functions["flows.rows"] = view
    page.locator("tr.older").get_by_role("button", name="Try again").click()
    expect(page.locator("tr[data-flow]").nth(before)).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="those above stay")).to_have_count(0)


def test_a_connection_that_breaks_is_said(lost: Page) -> None:
    gate = Gate(lost, "**/flows/panel/**", "cut")
    lost.goto("/flows?range=24h&q=verdict%3A+denied")
    lost.keyboard.press("ArrowDown")
    lost.keyboard.press("Enter")
    panel = lost.locator("#panel")
    expect(panel.get_by_role("alert")).to_contain_text("The server cannot be reached")
    gate.state = "open"
    panel.get_by_role("button", name="Try again").click()
    expect(panel).to_contain_text("What decided")


def test_an_answer_that_does_not_come_in_time_is_said(lost: Page) -> None:
    Gate(lost, "**/flows/panel/**", "held")
    lost.goto("/flows?range=24h&q=verdict%3A+denied")
    lost.evaluate("htmx.config.timeout = 400")
    lost.keyboard.press("ArrowDown")
    lost.keyboard.press("Enter")
    expect(lost.locator("#panel").get_by_role("alert")).to_contain_text("did not answer in time")


def test_a_page_that_cannot_be_refreshed_says_since_when_and_goes_on_trying(lost: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    gate = Gate(lost, "**/findings", "open")
    lost.goto("/findings")
    gate.state = "cut"
    site.feed.publish("finding", {})
    expect(lost.locator("[data-updates]")).to_have_text(re.compile(r"^last updated \d\d:\d\d:\d\d, trying again$"))
    gate.state = "open"
    expect(lost.locator("[data-updates]")).to_be_hidden()


def test_in_a_zone_that_the_browser_does_not_know_the_time_is_utc(lost: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    gate = Gate(lost, "**/findings", "open")
    lost.goto("/findings")
    lost.evaluate("document.querySelector('[data-in]').dataset.in = 'Mars/Olympus'")
    gate.state = "cut"
    site.feed.publish("finding", {})
    expect(lost.locator("[data-updates]")).to_have_text(re.compile(r"^last updated \d\d:\d\d:\d\d UTC, trying again$"))
    gate.state = "open"
    expect(lost.locator("[data-updates]")).to_be_hidden()


PLACES = {
    "the story of a flow": ("/flows?range=24h&q=verdict%3A+denied", "**/flows/panel/**", "#panel", "What decided"),
    "an edge": ("/map?range=24h&view=table", "**/map/edge?**", "#panel", "Services"),
    "a quarantine": ("/workloads", "**/quarantine/plan/**", "#dialog", "open connection"),
}


def ask(page: Page, place: str) -> None:
    if place == "#dialog":
        page.get_by_role("link", name="db", exact=True).click()
        expect(page.get_by_role("heading", name="db", level=1)).to_be_visible()
        page.wait_for_load_state("load")  # its modules listen by then
        page.keyboard.press("x")
    elif "/map" in page.url:
        page.locator("main tbody tr td.num a").first.click()
    else:
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")


@pytest.mark.parametrize("name", PLACES)
def test_what_is_waited_for_shows_its_shape(page: Page, name: str) -> None:
    path, address, place, content = PLACES[name]
    gate = Gate(page, address, "held")
    page.goto(path)
    ask(page, place)
    expect(page.locator(f"{place} .skeleton").first).to_be_visible()
    expect(page.locator(place)).to_have_attribute("aria-busy", "true")
    gate.release()
    expect(page.locator(place)).to_contain_text(content)
    expect(page.locator(f"{place} .skeleton")).to_have_count(0)
    assert page.locator(place).get_attribute("aria-busy") is None


def test_a_quick_answer_shows_no_shape_before(page: Page) -> None:
    page.goto("/flows?range=24h&q=verdict%3A+denied")
    # Whatever is put into the panel is noted; 150 ms do not pass in a page whose clock stands still.
    page.evaluate(
        """() => {
            window.seen = [];
            const panel = document.getElementById("panel");
            const note = () => window.seen.push(panel.querySelectorAll(".skeleton").length);
            new MutationObserver(note).observe(panel, { childList: true });
        }"""
    )
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#panel")).to_contain_text("What decided")
    assert set(page.evaluate("window.seen")) == {0}


def test_a_dialog_that_was_closed_before_it_came_stays_closed(lost: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    gate = Gate(lost, "**/quarantine/plan/**", "held")
    lost.goto(f"/workloads/{site.workloads()['db'].id}")
    lost.keyboard.press("x")
    expect(lost.locator("#dialog .skeleton").first).to_be_visible()
    lost.keyboard.press("Escape")
    expect(lost.locator("#dialog")).to_be_hidden()
    with contextlib.suppress(Error):
        gate.release()
    lost.wait_for_timeout(500)
    expect(lost.locator("#dialog")).to_be_hidden()


@pytest.mark.parametrize("place", ["#panel", "#dialog"])
def test_what_is_given_up_at_once_does_not_open(lost: Page, shop: tuple[Site, str], place: str) -> None:
    site, _ = shop
    path, address, keys = {
        "#panel": ("/flows?range=24h&q=verdict%3A+denied", "**/flows/panel/**", ("ArrowDown", "Enter")),
        "#dialog": (f"/workloads/{site.workloads()['db'].id}", "**/quarantine/plan/**", ("x",)),
    }[place]
    gate = Gate(lost, address, "held")
    lost.goto(path)
    # 150 ms do not pass in a page whose clock stands still.
    lost.clock.install()
    lost.clock.pause_at(lost.evaluate("Date.now() + 1000"))
    with lost.expect_request(address):
        for key in keys:
            lost.keyboard.press(key)
    lost.keyboard.press("Escape")
    expect(lost.locator(f"{place}[aria-busy]")).to_have_count(0)
    with contextlib.suppress(Error):
        gate.release()
    lost.clock.fast_forward(1_000)
    lost.wait_for_timeout(500)
    expect(lost.locator(place)).to_be_empty()
    expect(lost.locator("dialog[open]")).to_have_count(0)
    assert "flow=" not in lost.url

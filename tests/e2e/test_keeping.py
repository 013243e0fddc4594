"""What a person chose or typed stays with them: the time range, the zone, the filter, a draft that was not applied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from ringfence.demo.shop import POLICY
from tests.support.browser import Complaints, open_page, sign_in
from tests.support.site import Site

pytestmark = pytest.mark.browser
expect.set_options(timeout=20_000)


@pytest.fixture
def in_tokyo(browser: Browser, shop: tuple[Site, str]) -> Iterator[Page]:
    complaints = Complaints()
    made = open_page(browser, complaints, base_url=shop[1], timezone_id="Asia/Tokyo")
    sign_in(made)
    yield made
    made.context.close()
    assert complaints.texts == []


def asked(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def choose_zone(page: Page, name: str) -> None:
    page.locator(".top details.menu summary").click()
    page.locator(".top details.menu a", has_text=re.compile(f"^{re.escape(name)}$")).click()
    expect(page.locator(".top details.menu summary")).to_contain_text(name)


def test_the_zone_stays_from_page_to_page_and_each_says_which(in_tokyo: Page) -> None:
    page = in_tokyo
    page.goto("/findings")
    expect(page.locator(".top details.menu summary")).to_contain_text("UTC")
    choose_zone(page, "Asia/Tokyo")
    page.locator("table a[data-open]").first.click()
    expect(page).to_have_url(re.compile(r"/findings/[^?]+$"))
    expect(page.locator(".top details.menu summary")).to_contain_text("Asia/Tokyo")
    expect(page.locator("main time").first).to_have_attribute("title", re.compile(r"JST|\+09:00|Asia/Tokyo"))
    choose_zone(page, "UTC")
    page.goto("/flows")
    expect(page.locator(".house")).to_have_attribute("data-in", "UTC")


def test_another_zone_shows_the_same_time(in_tokyo: Page, shop: tuple[Site, str]) -> None:
    page, now = in_tokyo, shop[0].clock()
    page.goto(f"/flows?from={now:%Y-%m-%dT%H}:00:00&to={now:%Y-%m-%dT%H}:30:00")
    choose_zone(page, "Asia/Tokyo")
    assert asked(page) == {
        "from": f"{now:%Y-%m-%dT%H}:00:00Z",
        "to": f"{now:%Y-%m-%dT%H}:30:00Z",
        "tz": "Asia/Tokyo",
    }


def test_a_number_leads_to_the_flows_that_it_counted(page: Page, shop: tuple[Site, str]) -> None:
    page.goto(f"/workloads/{shop[0].workloads()['web'].id}")
    counted = page.locator("section", has_text="Is reached by").locator("td.num a").first
    number = counted.inner_text()
    counted.click()
    expect(page.locator("[data-total]")).to_have_text(re.compile(rf"^{number} flows?$"))
    assert asked(page)["range"] == "24h"


def test_a_verdict_of_the_legend_narrows_what_is_shown(page: Page) -> None:
    page.goto("/flows?range=24h&q=dst.name:+db")
    page.locator(".legend a", has_text="allowed").click()
    assert asked(page)["q"] == "dst.name: db and verdict: allowed"
    page.locator(".legend a", has_text=re.compile("^denied|would be denied")).first.click()
    assert asked(page)["q"].startswith("dst.name: db and ")
    assert "verdict: allowed" not in asked(page)["q"]


def test_the_edges_of_the_map_answer_to_the_keyboard(page: Page) -> None:
    page.goto("/map?range=24h&view=table")
    expect(page.locator("html")).to_have_attribute("data-alive", "yes")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#panel h2")).to_have_text("Edge")
    assert "edge" in asked(page)
    expect(page.locator("tbody tr").nth(1)).to_have_attribute("aria-selected", "true")


def test_a_draft_outlives_its_page_until_it_is_applied(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/policies/edit")
    text, kept = page.get_by_label("Policy"), page.locator("[data-draft]")
    original = text.input_value()
    expect(kept).to_be_hidden()
    text.fill(original + "\n# mine")
    page.get_by_label("Reason").fill("a remark")
    page.goto("/policies")
    page.goto("/policies/edit")
    expect(kept).to_contain_text("is kept in this tab")
    assert text.input_value() == original
    page.get_by_role("button", name="Take it").click()
    expect(text).to_have_value(original + "\n# mine")
    expect(page.get_by_label("Reason")).to_have_value("a remark")
    expect(page.locator("#check")).to_contain_text("# mine")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("[data-applied]")).to_contain_text("is applied")
    page.goto("/policies/edit")
    expect(text).to_have_value(original + "\n# mine")
    expect(kept).to_be_hidden()
    text.fill(original + "\n# more")
    page.goto("/policies?applied=3")
    page.goto("/policies/edit")
    expect(kept).to_contain_text("is kept in this tab")
    text.fill(original + "\n# less")
    page.goto("/policies/edit")
    for written in ("# less", "# more"):
        page.get_by_role("button", name="Take it").click()
        expect(text).to_have_value(original + "\n" + written)
    expect(kept).to_be_hidden()


def test_a_draft_replaces_no_revision_that_it_was_not_written_against(
    page: Page, shop: tuple[Site, str], complaints: Complaints
) -> None:
    site, _ = shop
    complaints.expected.add((409, "/policies/apply"))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/policies/edit")
    page.get_by_label("Policy").fill("# mine")
    page.get_by_label("Reason").fill("a remark")
    site.post(site.client("operator"), "/policies/apply", {"text": POLICY, "reason": "meanwhile", "expected": "2"})
    page.goto("/policies/edit")
    expect(page.locator("[data-based]")).to_have_text("3")
    page.get_by_role("button", name="Take it").click()
    expect(page.locator("[data-based]")).to_have_text("2")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("[role=alert]").first).to_contain_text("Your text is kept below")
    assert site.state.policies.current().reason == "meanwhile"


def test_a_draft_is_not_for_whoever_signs_in_next(page: Page, shop: tuple[Site, str]) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/policies/edit")
    page.get_by_label("Policy").fill("# mine")
    page.goto("/account")
    page.get_by_role("button", name="Sign out", exact=True).click()
    sign_in(page)
    page.goto("/policies/edit")
    expect(page.locator("html")).to_have_attribute("data-alive", "yes")
    expect(page.locator("[data-draft]")).to_be_hidden()


def test_a_draft_outlives_a_session_that_has_ended(page: Page, shop: tuple[Site, str], complaints: Complaints) -> None:
    page.goto("/policies/edit")
    text = page.get_by_label("Policy")
    text.fill(text.input_value() + "\n# mine")
    page.get_by_label("Reason").fill("a remark")
    expect(page.locator("#check")).to_contain_text("# mine")
    complaints.expected.add((401, "/policies/apply"))
    page.context.clear_cookies()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("body")).to_contain_text("You are not signed in: nothing was changed.")
    page.get_by_role("link", name="Sign in").click()
    sign_in(page)
    page.goto("/policies/edit")
    page.get_by_role("button", name="Take it").click()
    expect(text).to_have_value(re.compile("# mine$"))
    assert shop[0].state.policies.current().revision == 2

"""What a page tells of work that goes on elsewhere, and of what was decided: in a real browser, without a reload."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect

from ringfence.demo.shop import POLICY
from ringfence.store.state import HostStatus, ReportRecord
from tests.support.browser import Complaints, open_page, sign_in
from tests.support.site import Site

pytestmark = pytest.mark.browser
expect.set_options(timeout=20_000)


def report_rollout(site: Site, **counts: int) -> None:
    """What the host's heartbeat would say."""
    figures = {"workloads": 12, **{name.replace("_", " "): count for name, count in counts.items()}}
    site.state.hosts.report(HostStatus(host="shop-1", at=site.clock(), facts={"rollout": figures}))
    site.feed.publish("enforcement", {})


def test_an_applied_policy_is_followed_until_it_is_in_force(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    page.goto("/policies/edit")
    page.get_by_label("Policy", exact=True).fill(POLICY.replace("count: 5", "count: 9"))
    page.get_by_label("Reason").fill("calmer still")
    page.get_by_role("button", name="Apply").click()
    rollout = page.locator("[data-refresh=rollout]")
    expect(rollout).to_contain_text("Revision 3: in force on 0 of 12 workloads, 12 waiting")
    expect(rollout).to_contain_text("Host shop-1 has revision 2 so far")
    report_rollout(site, revision=3, in_force=7)
    expect(rollout).to_contain_text("in force on 7 of 12 workloads, 5 waiting")
    expect(rollout.get_by_role("progressbar")).to_have_js_property("value", 7)
    report_rollout(site, revision=3, in_force=11, partial=1)
    expect(rollout).to_contain_text("in force on 11 of 12 workloads, 1 partial")
    expect(rollout).to_contain_text("the IPv6 rules could not be written")
    rollout.get_by_role("link", name="mail").click()
    expect(page.get_by_role("heading", name="mail", level=1)).to_be_visible()


def test_a_running_report_shows_how_far_it_is_until_it_is_done(page: Page, shop: tuple[Site, str]) -> None:
    site, _ = shop
    record = ReportRecord(
        id="r1", kind="flow", title="Flow report", created=site.clock(), author="ada", parameters={}, digest="",
        files={}, state="running",
    )  # fmt: skip
    site.state.reports.save(record)
    page.goto("/reports")
    bar = page.get_by_role("progressbar", name="Flow report: how far it is")
    expect(bar).to_have_js_property("value", 0)
    site.state.reports.advance("r1", progress=45, step="edges")
    site.feed.publish("report", {})
    expect(bar).to_have_js_property("value", 45)
    expect(page.locator("[data-refresh=reports]")).to_contain_text("45 %, edges")
    site.state.reports.save(replace(record, state="done", progress=100))
    site.feed.publish("report", {})
    expect(bar).to_have_count(0)


def test_a_flow_is_explained_tier_by_tier_and_leads_to_the_policy_line(page: Page) -> None:
    page.goto("/flows?range=24h&q=verdict%3A+denied")
    page.locator("td.k-time a").first.click()
    trace = page.locator("#trace")
    expect(trace.locator("details[open] summary")).to_contain_text("At the source (egress)")
    expect(trace).to_contain_text("denied by its default")
    trace.locator("summary", has_text="At the destination").click()
    expect(trace.locator("details[open]")).to_have_count(2)
    trace.get_by_role("link", name="tcp 8080 to role == 'api'").click()
    expect(page.locator(".l.marked")).to_contain_text("action: allow, to: {selector: \"role == 'api'\"}")


def test_the_trace_reads_without_scripts(browser: Browser, shop: tuple[Site, str]) -> None:
    page = open_page(browser, Complaints(), base_url=shop[1], java_script_enabled=False)
    sign_in(page)
    page.goto("/flows?range=24h&q=verdict%3A+denied")
    page.locator("td.k-time a").first.click()
    expect(page.locator("#trace details[open]")).to_contain_text("denied by its default")
    page.goto("/policies")
    expect(page.locator("[data-refresh=rollout]")).to_contain_text("in force on 11 of 12 workloads")
    page.context.close()

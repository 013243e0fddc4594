"""Acceptance: a person in a real browser follows the whole story on real containers, from first login to report."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.support import traffic
from tests.support.containers import Container
from tests.support.lab import LabHost
from tests.support.require import command
from tests.support.service import RunningService
from tests.support.shop import POLICY
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.browser]

PHRASE = "a long enough phrase"


@pytest.fixture
def shop(lab_host: LabHost) -> dict[str, Container]:
    net = lab_host.network("shop")
    return {name: lab_host.run(name, network=net, labels={"role": name}) for name in ("api", "db", "coupon")}


@pytest.fixture
def service(lab_host: LabHost, shop: dict[str, Container], tmp_path: Path) -> Iterator[RunningService]:
    with RunningService(lab_host.namespace.path, tmp_path, endpoints=[f"h1={lab_host.url}"]) as running:
        yield running


@pytest.fixture
def page(lab_host: LabHost, tmp_path: Path) -> Iterator[Page]:
    """A browser inside the host's namespace, where the dashboard listens on loopback."""
    wrapper = tmp_path / "chromium"
    wrapper.write_text(f'#!/bin/sh\nexec nsenter --net={lab_host.namespace.path} -- {command("chromium")} "$@"\n')
    os.chmod(wrapper, stat.S_IRWXU)  # noqa: PTH101 -- a script for this test only
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=wrapper, args=arguments)
        made = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        made.set_default_timeout(20_000)
        yield made
        browser.close()


def test_from_the_first_login_to_the_report(
    service: RunningService, shop: dict[str, Container], page: Page, tmp_path: Path
) -> None:
    api, db, coupon = shop["api"], shop["db"], shop["coupon"]
    base = f"http://127.0.0.1:{service.port}"
    with traffic.TcpEcho(db.netns_path, db.address(4), 5432):
        sign_in_with_the_link(page, service)
        apply_the_policy(page, base)
        wait_until("it is in force", lambda: service.settled(1), seconds=20)
        follow_the_live_tail(page, base, api, db)
        page.goto(f"{base}/map?range=15m")
        expect(page.locator("#map-canvas canvas").first).to_be_visible()
        watch_the_quarantine_appear(page, base, coupon, db)
        filter_the_denied_flows(page, base)
        report = download_the_report(page, base)
    assert "coupon" in report
    assert "application/ingress/default" in report


def sign_in_with_the_link(page: Page, service: RunningService) -> None:
    link = next(word for word in service.log().split() if "/login/" in word)
    page.goto(link)
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password, at least 10 characters").fill(PHRASE)
    page.get_by_label("The same again").fill(PHRASE)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def apply_the_policy(page: Page, base: str) -> None:
    page.goto(f"{base}/policies/edit")
    page.get_by_label("Policy", exact=True).fill(POLICY)
    expect(page.locator("#check")).to_contain_text("may no longer")
    page.get_by_label("Reason").fill("protect the database")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("status").filter(has_text="Revision 1 is applied")).to_be_visible()


def follow_the_live_tail(page: Page, base: str, api: Container, db: Container) -> None:
    page.goto(f"{base}/flows?q=destination.port%3A+5432")
    page.get_by_role("button", name="Live").click()
    expect(page.locator("[data-live-state]")).to_have_text("live")
    mark(page)
    traffic.tcp_connections(api.netns_path, db.address(4), 5432, 3)
    expect(page.locator("table.flows tbody tr", has_text="api")).to_have_count(3)
    assert marked(page)


def watch_the_quarantine_appear(page: Page, base: str, coupon: Container, db: Container) -> None:
    page.goto(f"{base}/quarantine")
    expect(page.get_by_role("heading", name="Nobody is isolated")).to_be_visible()
    mark(page)
    traffic.scan(coupon.netns_path, db.address(4), range(1, 9), timeout=0.3)
    row = page.locator("main tbody tr", has_text="coupon")
    expect(row).to_be_visible(timeout=20_000)
    expect(row).to_contain_text("verified", timeout=20_000)
    assert marked(page)


def mark(page: Page) -> None:
    page.evaluate("window.marked = true")


def marked(page: Page) -> bool:
    """Whether the document is still the one that was marked: nothing was loaded anew."""
    return bool(page.evaluate("window.marked === true"))


def filter_the_denied_flows(page: Page, base: str) -> None:
    page.goto(f"{base}/flows?range=15m")
    page.keyboard.press("/")
    page.keyboard.type("verdict: denied and destination.port <= 8")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="8 flows")).to_be_visible()


def download_the_report(page: Page, base: str) -> str:
    page.goto(f"{base}/reports")
    page.locator("tr", has_text="Flow report").get_by_role("button", name="Make").click()
    with page.expect_download(timeout=60_000) as caught:
        page.get_by_role("link", name="as HTML").first.click(timeout=60_000)
    return Path(caught.value.path()).read_text(encoding="utf-8")

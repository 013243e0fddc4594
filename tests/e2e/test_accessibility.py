"""axe-core finds nothing on any page, in light and in dark, on a wide screen and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from ringfence.store.flows import FlowQuery
from tests.support.browser import Complaints, open_page, served, sign_in
from tests.support.javascript import package
from tests.support.site import Site

pytestmark = pytest.mark.browser
SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
OPTIONS = {"resultTypes": ["violations"]}
RUN = """async (options) => (await axe.run(document, options)).violations.flatMap((rule) =>
  rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160)}: ${node.any[0]?.message ?? rule.help}`))"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str]]:
    with served(tmp_path_factory.mktemp("shop")) as made:
        yield made


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str]]:
    with served(tmp_path_factory.mktemp("empty"), demo=False) as made:
        yield made


REFUSED = "/flows?q=verdict%3A+denied+and+dst_prt%3A+5"
PAGES = (
    *("/", "/flows?range=24h", "/map?range=24h", "/map?range=24h&view=table&compare=1", "/workloads", "/policies"),
    *("/policies/edit", "/policies/1", "/findings", "/quarantine", "/quarantine/q-coupon", "/reports", "/audit"),
    *("/health", "/account", "/users", "/findings/f-drift", REFUSED),
)


def of_the_shop(site: Site) -> tuple[str, ...]:
    """Pages whose address has an id of this estate: a workload, a flow in its panel, the plan of a quarantine."""
    now, db = site.clock(), site.workloads()["db"].id
    flow = site.flows.search(FlowQuery(start=now - timedelta(days=1), end=now), limit=1).rows[0]["flow_id"]
    return f"/workloads/{db}", f"/flows?range=24h&flow={flow}", f"/quarantine/plan/{db}"


def violations(page: Page, paths: tuple[str, ...]) -> dict[str, Any]:
    source = (package("axe-core") / "axe.min.js").read_text(encoding="utf-8")
    found = {}
    for path in paths:
        answer = page.goto(path)
        assert answer is not None
        # An error page is free of violations, too.
        assert answer.status == (400 if path == REFUSED else 200), path
        page.evaluate(source)
        found[path] = page.evaluate(RUN, OPTIONS)
    return {path: rules for path, rules in found.items() if rules}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_of_a_full_estate(browser: Browser, shop: tuple[Site, str], scheme: str, size: str) -> None:
    site, base = shop
    complaints = Complaints(expected={(400, "/flows")})
    page = open_page(browser, complaints, base_url=base, color_scheme=scheme, viewport=SIZES[size])
    assert violations(page, ("/login",)) == {}
    sign_in(page)
    assert violations(page, (*PAGES, *of_the_shop(site))) == {}
    assert complaints.texts == []
    page.context.close()


def test_every_page_of_an_empty_estate(browser: Browser, empty: tuple[Site, str]) -> None:
    complaints = Complaints(expected={(400, "/flows")})
    page = open_page(browser, complaints, base_url=empty[1])
    sign_in(page)
    known = tuple(path for path in PAGES if path not in ("/policies/1", "/quarantine/q-coupon", "/findings/f-drift"))
    assert violations(page, known) == {}
    assert complaints.texts == []
    page.context.close()

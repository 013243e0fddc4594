"""Tables in a real browser: their files, and columns as wide as a person makes them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, StorageState, expect

from tests.support.browser import Complaints, open_page, served, sign_in
from tests.support.site import Site

pytestmark = pytest.mark.browser
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str]]:
    with served(tmp_path_factory.mktemp("shop")) as made:
        yield made


@pytest.fixture(scope="module")
def session(browser: Browser, shop: tuple[Site, str]) -> StorageState:
    """An administrator's, signed in once: a name may not do that as often as there are tests."""
    made = open_page(browser, Complaints(), base_url=shop[1])
    sign_in(made)
    found = made.context.storage_state()
    made.context.close()
    return found


@pytest.fixture
def page(browser: Browser, shop: tuple[Site, str], session: StorageState) -> Iterator[Page]:
    """An administrator's page that complains about nothing."""
    complaints = Complaints()
    made = open_page(browser, complaints, base_url=shop[1], storage_state=session)
    yield made
    made.context.close()
    assert complaints.texts == []


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("/flows?range=24h&q=verdict%3A+denied", 48),
        ("/map?range=24h", 16),
        ("/map?range=24h&view=table&q=verdict%3A+denied", 2),
        ("/workloads?name=postgres", 1),
        ("/findings?q=severity%3A+high", 1),
        ("/quarantine", 1),
        ("/health?range=24h", 2),
        ("/audit?action=policy+applied", 1),
    ],
)
def test_one_click_gives_the_table_as_a_file(page: Page, path: str, rows: int) -> None:
    page.goto(path)
    with page.expect_download() as caught:
        page.locator("main").get_by_role("link", name="CSV").and_(page.locator(".button")).click()
    text = Path(caught.value.path()).read_text(encoding="utf-8")
    lines = [line for line in csv.reader(text.splitlines()) if not line[0].startswith("# ")]
    assert len(lines) == rows + 1
    assert caught.value.suggested_filename.endswith(".csv")


def width(head: Locator) -> float:
    box = head.bounding_box()
    assert box is not None
    return box["width"]


def drag(page: Page, grip: Locator, by: int) -> None:
    box = grip.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by, y, steps=4)
    page.mouse.up()


def test_a_column_is_dragged_wider_and_stays_so(page: Page) -> None:
    page.goto("/flows?range=24h")
    head = page.get_by_role("columnheader", name="Source")
    other = page.get_by_role("columnheader", name="Service")
    grip = page.get_by_role("separator", name="Width of Source")
    before, beside = width(head), width(other)
    drag(page, grip, 80)
    assert width(head) == pytest.approx(before + 80, abs=2)
    assert width(other) == pytest.approx(beside, abs=2)
    assert "sort=" not in page.url
    page.reload()
    assert width(head) == pytest.approx(before + 80, abs=2)
    page.goto("/flows?range=24h&cols=source,rule")
    assert width(head) == pytest.approx(before + 80, abs=2)
    grip.dblclick()
    expect(page.locator("table.flows")).not_to_have_class(re.compile(r"\bsized\b"))
    page.goto("/flows?range=24h")
    assert width(head) == pytest.approx(before, abs=2)


def test_the_keyboard_sets_a_width_and_says_it(page: Page) -> None:
    page.goto("/flows?range=24h")
    head = page.get_by_role("columnheader", name="Destination")
    grip = page.get_by_role("separator", name="Width of Destination")
    before = width(head)
    grip.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert width(head) == pytest.approx(before + 32, abs=2)
    expect(grip).to_have_attribute("aria-valuenow", str(round(width(head))))
    for _ in range(80):
        page.keyboard.press("ArrowLeft")
    expect(grip).to_have_attribute("aria-valuenow", "40")
    page.keyboard.press("Enter")
    assert width(head) == pytest.approx(before, abs=2)
    expect(head.get_by_role("link")).to_have_text("Destination")


def test_a_narrow_screen_has_no_columns_to_size(page: Page) -> None:
    page.goto("/flows?range=24h")
    drag(page, page.get_by_role("separator", name="Width of Source"), 700)
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    expect(page.get_by_role("separator")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_browser_that_keeps_nothing_sizes_columns_all_the_same(page: Page) -> None:
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('blocked'); } })")
    page.goto("/flows?range=24h")
    head = page.get_by_role("columnheader", name="Source")
    before = width(head)
    drag(page, page.get_by_role("separator", name="Width of Source"), 60)
    assert width(head) == pytest.approx(before + 60, abs=2)

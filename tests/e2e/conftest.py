"""What tests of the dashboard share: a browser, a full estate of one's own, and a page before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import Complaints, chromium, open_page, served, sign_in
from tests.support.site import Site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Site, str]]:
    """A full estate and its address."""
    with served(tmp_path) as made:
        yield made


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def page(browser: Browser, shop: tuple[Site, str], complaints: Complaints) -> Iterator[Page]:
    """An administrator's page; at the end nothing was complained about that the test did not ask for."""
    made = open_page(browser, complaints, base_url=shop[1])
    sign_in(made)
    yield made
    made.context.close()
    assert complaints.texts == []

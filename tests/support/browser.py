"""A real Chromium before a dashboard: signing in, and everything that a page may complain about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Response, Route, sync_playwright

from tests.support.require import command
from tests.support.site import PASSWORD, Site
from web.serve import serve

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FAILED = 400
STATUS = "Failed to load resource: the server responded with a status of "
"""Chromium repeats a refusal or failure on the console without saying whose it is; the answer is looked at instead."""


@dataclass
class Complaints:
    """What went wrong in a page. `expected`: (status, path) of refusals that a test asks for."""

    texts: list[str] = field(default_factory=list)
    expected: set[tuple[int, str]] = field(default_factory=set)

    def listen(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.texts.append(str(error)))
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(STATUS):
            self.texts.append(message.text)

    def _response(self, response: Response) -> None:
        path = response.url.partition("//")[2].partition("/")[2].partition("?")[0]
        if response.status >= FAILED and (response.status, f"/{path}") not in self.expected:
            self.texts.append(f"{response.status} {response.url}")


class Gate:
    """The way of a page's requests to one address (a glob): let through, held back, or cut off.

    Made before the page is opened: a page that stands already may still ask past a gate that was just made.
    """

    def __init__(self, page: Page, address: str, state: Literal["open", "held", "cut"]) -> None:
        self.state = state
        self._page = page
        self._held: list[Route] = []
        page.route(address, self._meet)

    def _meet(self, route: Route) -> None:
        if self.state == "open":
            route.continue_()
        elif self.state == "cut":
            route.abort()
        else:
            self._held.append(route)

    def release(self) -> None:
        """Let the newest request through that is held back, or comes within 20 s.

        Raises:
            TimeoutError: none came.
            playwright.sync_api.Error: the page has given it up.
        """
        for _ in range(1000):
            if self._held:
                self._held.pop().continue_()
                return
            self._page.wait_for_timeout(20)
        raise TimeoutError("no request came to be released")


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=command("chromium"), args=ARGUMENTS)
        yield made
        made.close()


@contextmanager
def served(folder: Path, *, demo: bool = True) -> Iterator[tuple[Site, str]]:
    """A site and its address."""
    with Site(folder, demo=demo) as site:
        server = serve(site.app, "127.0.0.1", 0)
        server.start()
        try:
            yield site, f"http://127.0.0.1:{server.port}"
        finally:
            site.feed.close()
            server.stop()


def open_page(browser: Browser, complaints: Complaints, **options: Any) -> Page:
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints.listen(page)
    return page


def sign_in(page: Page) -> None:
    page.goto("/login")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")

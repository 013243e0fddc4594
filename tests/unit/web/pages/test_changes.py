"""The stream that tells pages what changed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from ringfence.service.feed import Feed
from tests.support.site import Site
from web.app import create_app


def test_the_stream_is_for_those_who_may_view(site: Site) -> None:
    site.feed.close()
    answer = site.client("viewer").get("/changes")
    assert answer.content_type == "text/event-stream"
    assert "event: hello" in answer.text
    assert site.app.test_client().get("/changes").status_code == 303


class Counted(Feed):
    """A feed that counts who asked for flows."""

    watchers = 0

    def watching(self) -> AbstractContextManager[None]:
        self.watchers += 1
        return super().watching()


@pytest.mark.parametrize(("query", "watchers"), [("", 0), ("?flows=1", 1)], ids=["changes", "flows"])
def test_flows_are_published_only_for_a_page_that_follows_them(site: Site, query: str, watchers: int) -> None:
    feed = Counted()
    feed.close()
    site.app = create_app(replace(site.services, live=feed))
    assert "event: hello" in site.client("viewer").get(f"/changes{query}").text
    assert feed.watchers == watchers
    assert not feed.watched

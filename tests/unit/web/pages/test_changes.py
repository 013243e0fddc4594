"""The stream that tells pages what changed."""

from __future__ import annotations

from tests.support.site import Site


def test_the_stream_is_for_those_who_may_view(site: Site) -> None:
    site.feed.close()
    answer = site.client("viewer").get("/changes")
    assert answer.content_type == "text/event-stream"
    assert "event: hello" in answer.text
    assert site.app.test_client().get("/changes").status_code == 303

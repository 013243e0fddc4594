"""A live stream as the answer to a request."""

from __future__ import annotations

from tests.support.site import Site


def test_it_begins_with_its_id_and_ends_with_the_feed(site: Site) -> None:
    client = site.client("viewer")
    site.feed.close()
    answer = client.get("/api/v1/flows/stream")
    assert answer.content_type == "text/event-stream"
    assert answer.text.startswith("id: ")
    assert "event: hello" in answer.text


def test_a_wrong_filter_is_refused_before_it_begins(site: Site) -> None:
    assert site.client("viewer").get("/api/v1/flows/stream?q=verdict:").status_code == 400
    assert site.client("viewer").get("/flows/live?range=5y").status_code == 400

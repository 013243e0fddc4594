"""A live stream as the answer to a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringfence.store.state import Role, User
from tests.support.site import Site
from web.live import Event
from web.places import Place
from web.stream import HEARTBEAT_SECONDS, paced


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


def test_a_stream_can_be_taken_up_again_where_no_header_can_be_sent(site: Site) -> None:
    client = site.client("viewer")
    site.feed.publish("finding", {})
    site.feed.publish("gap", {})
    site.feed.close()
    assert 'data: ["gap"]' in client.get("/changes?after=1").text


ENDED: dict[str, Callable[[User], User]] = {
    "signed out everywhere": lambda user: replace(user, session_epoch=user.session_epoch + 1),
    "switched off": lambda user: replace(user, disabled=True),
    "another role": lambda user: replace(user, role=Role.AUDITOR, session_epoch=user.session_epoch + 1),
}


@pytest.mark.parametrize("path", ["/changes", "/api/v1/flows/stream"])
@pytest.mark.parametrize("end", ENDED)
def test_nothing_is_sent_to_a_session_that_has_ended(site: Site, path: str, end: str) -> None:
    answer = site.client("viewer").get(path)
    stream = iter(answer.response)
    assert b"event: hello" in next(stream)  # type: ignore[arg-type]
    user = site.state.users.get("viewer")
    assert user is not None
    site.state.users.save(ENDED[end](user))
    site.feed.publish("finding", {})
    site.feed.close()
    assert list(stream) == []


def seconds() -> Callable[[], datetime]:
    moments = iter(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=count) for count in range(1_000))
    return lambda: next(moments)


def silence(count: int) -> Iterator[Event | None]:
    yield from [None] * count


def test_silence_is_broken_by_a_heartbeat_and_then_the_session_is_looked_at_again() -> None:
    asked = iter([True, True, False])
    sent = list(paced(silence(100), seconds(), Place("ann"), lambda: next(asked)))
    assert sent == [": still here\n\n"] * 2
    assert len(list(paced(silence(100), seconds(), Place("ann"), lambda: True))) == 100 // HEARTBEAT_SECONDS


def test_a_place_that_was_given_up_says_so_and_ends() -> None:
    (told,) = paced(silence(100), seconds(), Place("ann", given_up=True), lambda: True)
    assert "event: full" in told

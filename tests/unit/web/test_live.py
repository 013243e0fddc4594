"""The live tail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pyarrow as pa

from ringfence.model.flow import FLOW_SCHEMA, FlowBatch
from ringfence.service.feed import Feed
from tests.support.estate import NOW, flow_row
from tests.support.site import Site
from web.bar import read_bar
from web.live import LONGEST, WATCHERS, Event, Tail, place, text_of, waiter


def store(site: Site, number: int, at: datetime, **changes: object) -> None:
    table = pa.Table.from_pylist([flow_row(number, started=at, last_seen=at, **changes)], schema=FLOW_SCHEMA)
    site.flows.append(FlowBatch(id=f"b{number}-{at.timestamp()}", host="h1", flows=table))


def ticking(step: timedelta = timedelta(seconds=1)) -> Callable[[], datetime]:
    moments = iter(NOW + step * count for count in range(1_000_000))
    return lambda: next(moments)


def tail(site: Site, text: str = "", *, wait: Callable[[float], bool | None], **options: str) -> Iterator[Event | None]:
    return Tail(flows=site.flows, bar=read_bar(text), clock=ticking(), wait=wait, **options).events()


def ids(event: Event | None) -> list[str]:
    assert event is not None
    return [row["flow_id"][-1] for row in event.data]


def test_new_flows_come_once_and_only_those_that_match(site: Site) -> None:
    steps = iter([1, 2, 3])

    def wait(_: float) -> bool | None:
        number = next(steps, None)
        if number is None:
            return None
        store(site, number, NOW + timedelta(seconds=number), dst_port=22 if number == 2 else 80)
        return True

    events = list(tail(site, "dst_port: 80", wait=wait))
    assert [event.name for event in events if event] == ["hello", "flows", "flows"]
    assert [ids(event) for event in events[1:]] == [["1"], ["3"]]


def test_a_watcher_who_was_away_gets_what_came_meanwhile(site: Site) -> None:
    store(site, 1, NOW - timedelta(minutes=2))
    answers = iter([True])
    last = str(int((NOW - timedelta(minutes=3)).timestamp() * 1e6))
    events = list(tail(site, wait=lambda _: next(answers, None), last_id=last))
    assert ids(events[1]) == ["1"]


def test_a_senseless_last_id_is_now(site: Site) -> None:
    store(site, 1, NOW - timedelta(minutes=2))
    answers = iter([True])
    assert len(list(tail(site, wait=lambda _: next(answers, None), last_id="x" * 99))) == 1


def test_silence_is_broken_by_a_heartbeat_and_ends_with_the_hour(site: Site) -> None:
    events = list(tail(site, wait=lambda _: False))
    assert events.count(None) > 100
    assert len(events) < LONGEST.total_seconds()
    assert text_of(None).startswith(":")


def test_an_event_is_written_line_by_line() -> None:
    assert text_of(Event(id="1", name="flows", data="a\nb")) == "id: 1\nevent: flows\ndata: a\ndata: b\n\n"


def test_the_feed_wakes_and_ends_the_watcher() -> None:
    feed = Feed()
    wait = waiter(feed, lambda _: None)
    assert wait(0.01) is False
    feed.publish("flows", {})
    assert wait(0.01) is True
    feed.publish("finding", {})
    assert wait(0.01) is False
    feed.close()
    assert wait(0.01) is None


def test_without_a_feed_the_store_is_asked_every_time() -> None:
    assert waiter(None, lambda _: None)(1) is True


def test_there_are_so_many_places_and_no_more() -> None:
    from contextlib import ExitStack

    with ExitStack() as stack:
        taken = [stack.enter_context(place()) for _ in range(WATCHERS + 1)]
    assert taken == [*[True] * WATCHERS, False]
    with place() as free:
        assert free

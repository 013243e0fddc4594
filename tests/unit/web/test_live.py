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
from web.live import LONGEST, MOST_ROWS, RESUME, Event, Tail, text_of, waiter


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
    assert [ids(event) for event in events[1:] if event] == [["1"], ["3"]]


def test_a_watcher_who_was_away_gets_what_came_meanwhile(site: Site) -> None:
    store(site, 1, NOW - timedelta(minutes=2))
    answers = iter([True])
    last = str(int((NOW - timedelta(minutes=3)).timestamp() * 1e6))
    events = list(tail(site, wait=lambda _: next(answers, None), last_id=last))
    assert ids(events[1]) == ["1"]


def test_a_senseless_last_id_is_now(site: Site) -> None:
    store(site, 1, NOW - timedelta(minutes=2))
    answers = iter([True])
    assert list(tail(site, wait=lambda _: next(answers, None), last_id="x" * 99))[1:] == [None]


def test_silence_ends_with_the_hour(site: Site) -> None:
    events = list(tail(site, wait=lambda _: False))
    assert events[1:] == [None] * (len(events) - 1)
    assert len(events) < LONGEST.total_seconds()
    assert text_of(None).startswith(":")


def store_many(site: Site, first: int, count: int, at: datetime) -> None:
    rows = [flow_row(first + number, started=at, last_seen=at, dst_port=80) for number in range(count)]
    table = pa.Table.from_pylist(rows, schema=FLOW_SCHEMA)
    site.flows.append(FlowBatch(id=f"many{first}", host="h1", flows=table))


def test_hundreds_at_once_are_all_sent(site: Site) -> None:
    steps = iter([0, 450, 900])

    def wait(_: float) -> bool | None:
        first = next(steps, None)
        if first is not None:
            store_many(site, first, 450, NOW + timedelta(seconds=1))
        return None if first is None else True

    events = [event for event in tail(site, wait=wait) if event]
    assert [event.name for event in events] == ["hello", *["flows"] * 3]
    assert [len(event.data) for event in events[1:]] == [450] * 3
    assert len({row["flow_id"] for event in events[1:] for row in event.data}) == 3 * 450


def test_what_is_left_out_is_counted_once(site: Site) -> None:
    steps = iter([MOST_ROWS + 250, 1])
    first = 0

    def wait(_: float) -> bool | None:
        nonlocal first
        count = next(steps, None)
        if count is None:
            return None
        store_many(site, first, count, NOW + timedelta(seconds=2 if first else 1))
        first += count
        return True

    events = [event for event in tail(site, wait=wait) if event]
    assert [event.name for event in events] == ["hello", "left_out", "flows", "flows"]
    assert events[1].data["flows"] == 250
    sent = [len(event.data) for event in events[2:]]
    assert sent[0] == MOST_ROWS
    assert sent[1] >= 1


def test_a_watcher_who_was_away_too_long_is_told_what_is_left_out(site: Site) -> None:
    away = NOW - timedelta(hours=1)
    answers: Iterator[bool | None] = iter([])
    events = [e for e in tail(site, wait=lambda _: next(answers, None), last_id=str(int(away.timestamp() * 1e6))) if e]
    assert [event.name for event in events] == ["hello", "left_out"]
    told = events[1].data
    assert told["flows"] is None
    assert told["start"] == away.isoformat()
    assert datetime.fromisoformat(told["end"]) == datetime.fromtimestamp(int(events[1].id) / 1e6, NOW.tzinfo)
    assert datetime.fromisoformat(told["end"]) >= NOW - RESUME


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

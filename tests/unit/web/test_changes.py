"""What changed is told by topic, together, once, and again to whoever was away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, islice

from ringfence.service.feed import Feed
from web.changes import ASK_SECONDS, SILENCE, TOPICS, changes
from web.live import Event

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _quiet(seconds: float) -> None:
    return None


def test_a_burst_of_changes_is_told_as_the_topics_that_changed() -> None:
    feed = Feed()
    events = changes(feed, lambda: NOW, sleep=_quiet)
    assert next(events).name == "hello"  # type: ignore[union-attr]
    for topic in ("flows", "quarantine", "finding", "quarantine"):
        feed.publish(topic, {})
    told = next(events)
    assert told is not None
    assert (told.name, told.data, told.id) == ("change", ["finding", "quarantine"], "4")


def test_a_page_that_was_away_is_told_what_changed_meanwhile() -> None:
    feed = Feed()
    feed.publish("gap", {})
    feed.publish("finding", {})
    told = list(islice(changes(feed, lambda: NOW, last_id="1", sleep=_quiet), 2))[1]
    assert told is not None
    assert told.data == ["finding"]


def test_a_closed_feed_ends_the_stream() -> None:
    feed = Feed()
    feed.close()
    assert [event.name for event in changes(feed, lambda: NOW, sleep=_quiet) if event] == ["hello"]


def test_without_a_feed_everything_may_have_changed() -> None:
    told = list(islice(changes(None, lambda: NOW, sleep=_quiet), 2))[1]
    assert told is not None
    assert told.data == list(TOPICS)


def test_a_page_that_was_away_longer_than_the_feed_remembers_is_told_everything() -> None:
    feed = Feed(history=2)
    for topic in ("finding", "gap", "flows", "flows"):
        feed.publish(topic, {})
    told = list(islice(changes(feed, lambda: NOW, last_id="1", sleep=_quiet), 2))[1]
    assert told is not None
    assert told.data == list(TOPICS)


def test_a_page_of_a_former_process_is_told_everything() -> None:
    told = list(islice(changes(Feed(), lambda: NOW, last_id="77", sleep=_quiet), 2))
    assert [(event.name, event.id) for event in told if event] == [("hello", "0"), ("change", "0")]


def test_silence_is_told_so_that_the_stream_can_end() -> None:
    assert list(islice(changes(Feed(), lambda: NOW, sleep=_quiet), 2))[1] is None


def _slow(step: float) -> Callable[[], datetime]:
    """A clock that is `step` seconds further whenever it is read."""
    reads = count()
    return lambda: NOW + timedelta(seconds=step * next(reads))


def _told(events: Iterator[Event | None], most: int) -> list[object]:
    return [event.data for event in islice(events, most) if event and event.name == "change"]


def test_what_other_processes_change_is_told_from_time_to_time() -> None:
    feed = Feed()
    feed.publish("quarantine", {})
    told = _told(changes(feed, _slow(ASK_SECONDS), last_id="0", elsewhere={"report"}, sleep=_quiet), 2)
    assert told == [["quarantine", "report"]]
    assert _told(changes(feed, _slow(ASK_SECONDS), elsewhere=(), sleep=_quiet), 2) == []


def test_that_hosts_are_silent_is_news_as_well() -> None:
    feed = Feed()
    feed.publish("gap", {})
    told = _told(changes(feed, _slow(SILENCE.total_seconds()), last_id="0", sleep=_quiet), 2)
    assert told == [["gap", "host"]]


def test_flows_are_told_only_to_those_who_ask() -> None:
    feed = Feed()
    for topic in ("gap", "flows"):
        feed.publish(topic, {})
    assert _told(changes(feed, lambda: NOW, last_id="0", sleep=_quiet), 2) == [["gap"]]
    assert _told(changes(feed, lambda: NOW, last_id="0", flows=True, sleep=_quiet), 2) == [["flows", "gap"]]

"""Live updates: server-sent events of flows that match a filter, with resume, heartbeat and a limit of watchers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ringfence.clock import Clock
from ringfence.errors import StoreUnavailable
from ringfence.store.flows import FlowReader
from web.bar import Bar
from web.flow_questions import newest_since
from web.services import LiveFeed

WATCHERS = 12
"""Streams at once; each holds a server thread."""
HEARTBEAT_SECONDS = 15.0
WAIT_SECONDS = 1.0
LOOK_BACK = timedelta(seconds=3)
MOST_ROWS = 200
LONGEST = timedelta(hours=1)
"""A stream ends after this long; browsers take it up again with `Last-Event-ID`, and the login is checked anew."""

_places = threading.BoundedSemaphore(WATCHERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One server-sent event."""

    id: str
    name: str
    data: Any


def text_of(event: Event | None) -> str:
    """The event on the wire; None is a heartbeat comment."""
    if event is None:
        return ": still here\n\n"
    body = event.data if isinstance(event.data, str) else json.dumps(event.data, default=str)
    lines = "".join(f"data: {line}\n" for line in body.splitlines() or [""])
    return f"id: {event.id}\nevent: {event.name}\n{lines}\n"


@contextmanager
def place() -> Iterator[bool]:
    """A place among the watchers; False when all are taken."""
    taken = _places.acquire(blocking=False)
    try:
        yield taken
    finally:
        if taken:
            _places.release()


@dataclass(slots=True, kw_only=True)
class Tail:
    """Follows flows: asks the store for what is new whenever the feed stirs, so the filter means what it always means.

    `last_id` is `Last-Event-ID`: microseconds since 1970 of the newest row that was sent.
    """

    flows: FlowReader
    bar: Bar
    clock: Clock
    wait: Callable[[float], bool | None]
    last_id: str = ""

    def events(self) -> Iterator[Event | None]:
        """Batches of new rows (oldest first) and heartbeats, until the time is up."""
        began = quiet = self.clock()
        since = _moment(self.last_id, began)
        sent: dict[str, datetime] = {}
        yield Event(id=_id(since), name="hello", data={})
        while self.clock() - began < LONGEST:
            stirred = self.wait(WAIT_SECONDS)
            if stirred is None:
                return
            now = self.clock()
            rows = self._new(since, now, sent) if stirred else []
            if rows:
                since = max(since, max(row["last_seen"] for row in rows) - LOOK_BACK)
                quiet = now
                yield Event(id=_id(since), name="flows", data=rows)
            elif (now - quiet).total_seconds() >= HEARTBEAT_SECONDS:
                quiet = now
                yield None

    def _new(self, since: datetime, now: datetime, sent: dict[str, datetime]) -> Sequence[Mapping[str, Any]]:
        try:
            found = newest_since(self.flows, self.bar, since, now, limit=MOST_ROWS).rows
        except StoreUnavailable:
            return []
        fresh = [row for row in found if sent.get(row["flow_id"]) != row["last_seen"] and row["last_seen"] >= since]
        sent.update({row["flow_id"]: row["last_seen"] for row in fresh})
        for flow_id in [key for key, seen in sent.items() if seen < since - LOOK_BACK]:
            del sent[flow_id]
        return fresh[::-1]


def waiter(feed: LiveFeed | None, sleep: Callable[[float], None]) -> Callable[[float], bool | None]:
    """Waits until there may be something new (None: it is over); without a feed the store is asked every time."""
    if feed is None:

        def ask(seconds: float) -> bool:
            sleep(seconds)
            return True

        return ask
    state = {"last": feed.last()}

    def stirred(seconds: float) -> bool | None:
        messages: Sequence[Any] = feed.after(state["last"], seconds)
        if not messages:
            return None if feed.closed else False
        state["last"] = messages[-1].number
        # Messages come in bursts: one question per second is enough for a person.
        sleep(min(seconds, 0.5))
        return any(message.topic == "flows" for message in messages)

    return stirred


def _moment(last_id: str, now: datetime) -> datetime:
    earliest = now - timedelta(minutes=10)
    if not (last_id.isascii() and last_id.isdecimal() and len(last_id) < 18):
        return now - LOOK_BACK
    moment = datetime.fromtimestamp(int(last_id) / 1e6, now.tzinfo)
    return min(max(moment, earliest), now)


def _id(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1e6))

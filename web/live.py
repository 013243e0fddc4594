"""Live updates: server-sent events of flows that match a filter, with resume, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ringfence.clock import Clock
from ringfence.errors import StoreUnavailable
from ringfence.store.flows import FlowReader
from web.bar import Bar
from web.flow_questions import newest_since
from web.services import LiveFeed

WAIT_SECONDS = 1.0
LOOK_BACK = timedelta(seconds=3)
RESUME = timedelta(minutes=10)
"""So far back a stream is taken up again; what came before stands in the list of flows."""
MOST_ROWS = 500
"""As many as a page keeps. Of more at once the newest are sent, and how many are not."""
MOST_PAGES = 6
"""Read at once: what was sent in the last seconds is read again, and fills pages too."""
LONGEST = timedelta(hours=1)
"""A stream ends after this long; browsers take it up again with `Last-Event-ID`."""


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
        """`flows` (new rows, oldest first), `left_out` before them, and None for a moment without, until time is up.

        `left_out` has `flows`, how many were not sent (null: nobody counted), and the window `start` to `end`.
        """
        began = self.clock()
        asked = _moment(self.last_id, began)
        since = counted = max(asked, began - RESUME)
        sent: dict[str, datetime] = {}
        yield Event(id=_id(since), name="hello", data={})
        if since > asked:
            yield _left_out(None, asked, since)
        while self.clock() - began < LONGEST:
            stirred = self.wait(WAIT_SECONDS)
            if stirred is None:
                return
            now = self.clock()
            rows, complete = self._new(since, now, sent) if stirred else ([], True)
            if not complete and (count := self._missed(counted, now, sent)):
                yield _left_out(count, counted, now)
            if rows:
                since = max(since, max(row["last_seen"] for row in rows) - LOOK_BACK)
                counted = now
                yield Event(id=_id(since), name="flows", data=rows)
            else:
                yield None

    def _new(self, since: datetime, now: datetime, sent: dict[str, datetime]) -> tuple[list[Mapping[str, Any]], bool]:
        """Rows that were not sent yet, oldest first, and whether these are all."""
        fresh: list[Mapping[str, Any]] = []
        cursor: str | None = None
        try:
            for _ in range(MOST_PAGES):
                page = newest_since(self.flows, self.bar, since, now, limit=MOST_ROWS, cursor=cursor)
                fresh += [row for row in page.rows if sent.get(row["flow_id"]) != row["last_seen"] >= since]
                cursor = page.cursor
                if cursor is None or len(fresh) >= MOST_ROWS:
                    break
        except StoreUnavailable:
            return [], True
        for flow_id in [key for key, seen in sent.items() if seen < since - LOOK_BACK]:
            del sent[flow_id]
        sent.update({row["flow_id"]: row["last_seen"] for row in fresh})
        return fresh[::-1], cursor is None

    def _missed(self, since: datetime, now: datetime, sent: Mapping[str, datetime]) -> int:
        """How many flows with evidence since a moment were not sent."""
        try:
            total = newest_since(self.flows, self.bar, since, now, limit=1).total
        except StoreUnavailable:
            return 0
        return max(0, total - sum(seen >= since for seen in sent.values()))


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


def _left_out(count: int | None, start: datetime, end: datetime) -> Event:
    body = {"flows": count, "start": start.isoformat(), "end": end.isoformat()}
    return Event(id=_id(end if count is None else start), name="left_out", data=body)


def _moment(last_id: str, now: datetime) -> datetime:
    """The moment of a former id; shortly before now for anything else."""
    if not (last_id.isascii() and last_id.isdecimal() and len(last_id) < 18):
        return now - LOOK_BACK
    return min(datetime.fromtimestamp(int(last_id) / 1e6, now.tzinfo), now)


def _id(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1e6))

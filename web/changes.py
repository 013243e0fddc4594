"""What changed, as server-sent events: the topics only, so that a page fetches anew what it shows of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ringfence.clock import Clock
from web.live import HEARTBEAT_SECONDS, LONGEST, Event
from web.services import LiveFeed

TOPICS = ("enforcement", "finding", "gap", "quarantine")
SETTLE_SECONDS = 0.3
"""Changes come in bursts: they are told together."""
ASK_SECONDS = 5.0
"""Without a feed nobody tells what changed: everything may have, this often."""


def changes(
    feed: LiveFeed | None, clock: Clock, last_id: str = "", sleep: Callable[[float], None] = time.sleep
) -> Iterator[Event | None]:
    """`change` events with the topics that changed and heartbeats (None), until the feed or the time ends.

    `last_id` is `Last-Event-ID`: what changed since is told at once.
    """
    began = clock()
    last = feed.last() if feed else 0
    if feed and last_id.isascii() and last_id.isdecimal() and int(last_id) <= last:
        last = int(last_id)
    yield Event(id=str(last), name="hello", data=[])
    while clock() - began < LONGEST:
        if feed is None:
            sleep(ASK_SECONDS)
            yield Event(id="0", name="change", data=list(TOPICS))
            continue
        messages = feed.after(last, HEARTBEAT_SECONDS)
        if not messages:
            if feed.closed:
                return
            yield None
            continue
        sleep(SETTLE_SECONDS)
        messages = feed.after(last, 0)
        last = messages[-1].number
        topics = sorted({message.topic for message in messages} & set(TOPICS))
        if topics:
            yield Event(id=str(last), name="change", data=topics)
        elif feed.closed:
            return

"""What changed, as server-sent events: the topics only, so that a page fetches anew what it shows of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ringfence.clock import Clock
from web.live import LONGEST, WAIT_SECONDS, Event
from web.services import LiveFeed

TOPICS = ("enforcement", "finding", "gap", "quarantine")
SETTLE_SECONDS = 0.3
"""Changes come in bursts: they are told together."""
ASK_SECONDS = 5.0
"""Without a feed nobody tells what changed: everything may have, this often."""


def changes(
    feed: LiveFeed | None, clock: Clock, last_id: str = "", sleep: Callable[[float], None] = time.sleep
) -> Iterator[Event | None]:
    """`change` events with the topics that changed, and None for a moment without, until the feed or the time ends.

    `last_id` is `Last-Event-ID`: what changed since is told at once, and everything when nobody knows any more.
    """
    began = clock()
    newest = feed.last() if feed else 0
    last = _number(last_id, newest)
    yield Event(id=str(newest if last is None else last), name="hello", data=[])
    if last is None:
        last = newest
        if last_id:
            yield Event(id=str(last), name="change", data=list(TOPICS))
    while clock() - began < LONGEST:
        if feed is None:
            sleep(ASK_SECONDS)
            yield Event(id="0", name="change", data=list(TOPICS))
            continue
        messages = feed.after(last, WAIT_SECONDS)
        if not messages:
            if feed.closed:
                return
            yield None
            continue
        sleep(SETTLE_SECONDS)
        messages = feed.after(last, 0)
        forgotten = messages[0].number > last + 1
        last = messages[-1].number
        topics = list(TOPICS) if forgotten else sorted({message.topic for message in messages} & set(TOPICS))
        yield Event(id=str(last), name="change", data=topics) if topics else None


def _number(last_id: str, newest: int) -> int | None:
    """The message that `last_id` names; None when this feed never sent it, as after a restart."""
    known = last_id.isascii() and last_id.isdecimal() and len(last_id) < 18
    return int(last_id) if known and int(last_id) <= newest else None

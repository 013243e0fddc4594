"""What changed, as server-sent events: the topics only, so that a page fetches anew what it shows of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta

from ringfence.clock import Clock
from web.live import LONGEST, WAIT_SECONDS, Event
from web.services import LiveFeed

TOPICS = ("enforcement", "finding", "gap", "host", "quarantine", "report", "workload")
FLOWS = "flows"
"""Told only to those who ask for it: it changes all the time."""
SETTLE_SECONDS = 0.3
"""Changes come in bursts: they are told together."""
ASK_SECONDS = 5.0
"""What the feed does not tell, because other processes change it, may have changed this often."""
SILENCE = timedelta(seconds=15)
"""Nobody tells that a host is silent: pages look again after this long without news of hosts."""


def changes(
    feed: LiveFeed | None,
    clock: Clock,
    last_id: str = "",
    *,
    flows: bool = False,
    elsewhere: Collection[str] = (),
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event | None]:
    """`change` events with the topics that changed, and None for a moment without, until the feed or the time ends.

    `last_id` is `Last-Event-ID`: what changed since is told at once, and everything when nobody knows any more.
    `elsewhere` are topics that other processes change too, without a word in this feed; without a feed that is all.
    """
    wanted = sorted({*TOPICS, *((FLOWS,) if flows else ())})
    began = clock()
    newest = feed.last() if feed else 0
    last = _number(last_id, newest)
    yield Event(id=str(newest if last is None else last), name="hello", data=[])
    if last is None:
        last = newest
        if last_id:
            yield Event(id=str(last), name="change", data=wanted)
    unheard = _Unheard(elsewhere, began)
    while clock() - began < LONGEST:
        if feed is None:
            sleep(ASK_SECONDS)
            yield Event(id="0", name="change", data=wanted)
            continue
        messages = feed.after(last, WAIT_SECONDS)
        if not messages and feed.closed:
            return
        heard: set[str] = set()
        if messages:
            sleep(SETTLE_SECONDS)
            messages = feed.after(last, 0)
            forgotten = messages[0].number > last + 1
            last = messages[-1].number
            heard = set(wanted) if forgotten else {message.topic for message in messages}
        topics = sorted((heard | unheard.due(heard, clock())) & set(wanted))
        yield Event(id=str(last), name="change", data=topics) if topics else None


class _Unheard:
    """What may have changed although the feed does not tell."""

    def __init__(self, elsewhere: Collection[str], now: datetime) -> None:
        self._elsewhere = elsewhere
        self._asked = self._hosts = now

    def due(self, heard: Collection[str], now: datetime) -> set[str]:
        topics: set[str] = set()
        if self._elsewhere and now - self._asked >= timedelta(seconds=ASK_SECONDS):
            self._asked = now
            topics |= set(self._elsewhere)
        if now - self._hosts >= SILENCE:
            topics.add("host")
        if "host" in topics or "host" in heard:
            self._hosts = now
        return topics


def _number(last_id: str, newest: int) -> int | None:
    """The message that `last_id` names; None when this feed never sent it, as after a restart."""
    known = last_id.isascii() and last_id.isdecimal() and len(last_id) < 18
    return int(last_id) if known and int(last_id) <= newest else None

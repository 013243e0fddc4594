"""A live stream as the answer to a request, for as long as somebody listens who may."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

from flask import Response, request, stream_with_context

from ringfence.clock import Clock
from web.address import RESUMED
from web.changes import changes
from web.guard import services, still_admitted, user
from web.live import Event, Tail, text_of, waiter
from web.places import Place, Places
from web.scope import strict_scope

CONTENT_TYPE = "text/event-stream"
HEARTBEAT_SECONDS = 15.0
FULL = Event(id="0", name="full", data="Too many live views are open: reload when others are closed.")
GIVEN_UP = Event(id="0", name="full", data="Newer windows of yours are live instead: reload to make this one live.")

_places = Places()


def stream_of(render: Callable[[Event], Event]) -> Response:
    """A stream of the flows that this request's filter matches; `render` turns an event into what is sent."""
    given, found, last_id = services(), strict_scope(), _last_id()

    def rendered() -> Iterator[Event | None]:
        with given.live.watching() if given.live else nullcontext():
            tail = Tail(
                flows=given.flows,
                bar=found.bar,
                clock=given.clock,
                wait=waiter(given.live, time.sleep),
                last_id=last_id,
            )
            yield from (render(event) if event else None for event in tail.events())

    return _streamed(rendered())


def changes_stream() -> Response:
    """A stream of the topics that change; of new flows only when they are asked for (`flows=1`)."""
    given, last_id = services(), _last_id()
    flows = request.args.get("flows") == "1"

    def told() -> Iterator[Event | None]:
        with given.live.watching() if given.live and flows else nullcontext():
            yield from changes(given.live, given.clock, last_id, flows=flows, elsewhere=given.elsewhere)

    return _streamed(told())


def paced(events: Iterator[Event | None], clock: Clock, place: Place, admitted: Callable[[], bool]) -> Iterator[str]:
    """The events on the wire, with a heartbeat when none came for a while.

    It ends when the place is given up, and when `admitted` denies: asked before whatever is sent, so that nothing
    reaches a session that was ended meanwhile.
    """
    quiet = clock()
    for event in events:
        if place.given_up:
            yield text_of(GIVEN_UP)
            return
        now = clock()
        if event is None and (now - quiet).total_seconds() < HEARTBEAT_SECONDS:
            continue
        if not admitted():
            return
        quiet = now
        yield text_of(event)


def _streamed(events: Iterator[Event | None]) -> Response:
    clock, name = services().clock, user().name

    def send() -> Iterator[str]:
        with _places.take(name) as place:
            if place.free:
                yield from paced(events, clock, place, still_admitted)
            else:
                yield text_of(FULL)

    body = "" if request.method == "HEAD" else stream_with_context(send())
    return Response(body, content_type=CONTENT_TYPE, headers={"X-Accel-Buffering": "no"})


def _last_id() -> str:
    """Where to take the stream up again: browsers send the header by themselves, and `after` when a page opens anew."""
    return request.headers.get("Last-Event-ID") or request.args.get(RESUMED, "")

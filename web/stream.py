"""A live stream as the answer to a request: the flows that its filter matches, for as long as somebody listens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

from flask import Response, request, stream_with_context

from web.changes import changes
from web.guard import services
from web.live import Event, Tail, place, text_of, waiter
from web.scope import strict_scope

CONTENT_TYPE = "text/event-stream"


def stream_of(render: Callable[[Event], Event]) -> Response:
    """A stream of the flows that this request's filter matches; `render` turns an event into what is sent."""
    given, found = services(), strict_scope()

    def rendered() -> Iterator[Event | None]:
        with given.live.watching() if given.live else nullcontext():
            tail = Tail(
                flows=given.flows,
                bar=found.bar,
                clock=given.clock,
                wait=waiter(given.live, time.sleep),
                last_id=request.headers.get("Last-Event-ID", ""),
            )
            yield from (render(event) if event else None for event in tail.events())

    return _streamed(rendered())


def changes_stream() -> Response:
    """A stream of the topics that change."""
    given = services()
    return _streamed(changes(given.live, given.clock, request.headers.get("Last-Event-ID", "")))


def _streamed(events: Iterator[Event | None]) -> Response:
    """The events on the wire, as long as there is a place among the watchers."""

    def send() -> Iterator[str]:
        with place() as free:
            if not free:
                yield text_of(Event(id="0", name="full", data="Too many live views are open."))
                return
            for event in events:
                yield text_of(event)

    body = "" if request.method == "HEAD" else stream_with_context(send())
    return Response(body, content_type=CONTENT_TYPE, headers={"X-Accel-Buffering": "no"})

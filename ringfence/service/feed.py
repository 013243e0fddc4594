"""The live feed: that something is new, handed to whoever watches, never waiting for a slow watcher."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

HISTORY = 2_000
"""Messages kept so that a watcher who was away can resume; older ones are fetched from the store instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing that happened: `topic` is flows, finding, quarantine, enforcement, gap, host, workload or report."""

    number: int
    topic: str
    body: Mapping[str, Any]


class Feed:
    """Numbered messages in memory. Thread-safe."""

    def __init__(self, history: int = HISTORY) -> None:
        self._messages: deque[Message] = deque(maxlen=history)
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._watchers = 0
        self._closed = False

    @property
    def watched(self) -> bool:
        """Whether anyone listens for flows: that there are new ones is told only then, as they come all the time."""
        return self._watchers > 0

    @property
    def closed(self) -> bool:
        return self._closed

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        with self._changed:
            self._messages.append(Message(number=next(self._numbers), topic=topic, body=body))
            self._changed.notify_all()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count as a watcher while the context lasts."""
        with self._changed:
            self._watchers += 1
        try:
            yield
        finally:
            with self._changed:
                self._watchers -= 1

    def after(self, number: int, timeout: float) -> tuple[Message, ...]:
        """Messages with a higher number, waiting up to `timeout` seconds for the first; empty: nothing happened."""
        with self._changed:
            if not self._newer(number) and not self._closed:
                self._changed.wait(timeout)
            return self._newer(number)

    def last(self) -> int:
        """The number of the newest message, 0 before the first."""
        with self._changed:
            return self._messages[-1].number if self._messages else 0

    def close(self) -> None:
        """Let every watcher go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _newer(self, number: int) -> tuple[Message, ...]:
        if not self._messages or self._messages[-1].number <= number:
            return ()
        return tuple(message for message in self._messages if message.number > number)

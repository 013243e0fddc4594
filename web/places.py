"""Places among the watchers of live streams: so many in all, and no more for one user than a few open windows need."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

WATCHERS = 12
"""Streams at once; each holds a server thread."""
PER_USER = 4
LEAVING = 2
"""Further streams of a user that may be on their way out: a closed window is noticed with the next thing sent to it."""


@dataclass(slots=True, eq=False)
class Place:
    """One stream's place; `free` False: there was none. `given_up`: the user opened newer ones, it should end."""

    user: str
    free: bool = True
    given_up: bool = False


class Places:
    """Who watches. Thread-safe. The newest streams of a user count: the oldest gives its place up to one too many."""

    def __init__(self, watchers: int = WATCHERS, per_user: int = PER_USER) -> None:
        self._watchers, self._per_user = watchers, per_user
        self._taken: list[Place] = []
        self._lock = threading.Lock()

    @contextmanager
    def take(self, user: str) -> Iterator[Place]:
        """A place as long as the context lasts."""
        place = Place(user)
        with self._lock:
            mine = [other for other in self._taken if other.user == user]
            place.free = len(self._taken) < self._watchers and len(mine) < self._per_user + LEAVING
            if place.free:
                current = [other for other in mine if not other.given_up]
                for other in current[: max(0, len(current) + 1 - self._per_user)]:
                    other.given_up = True
                self._taken.append(place)
        try:
            yield place
        finally:
            with self._lock:
                if place.free:
                    self._taken.remove(place)

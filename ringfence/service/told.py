"""What was told already, by its id: an outage comes again every ten seconds for as long as it lasts."""

from __future__ import annotations

REMEMBERED = 10_000


class Told:
    """Remembers the ids that came last; one that keeps coming is never forgotten."""

    def __init__(self, *, remembered: int = REMEMBERED) -> None:
        self._limit = remembered
        self._ids: dict[str, None] = {}

    def news(self, name: str) -> bool:
        """Whether it comes for the first time."""
        new = name not in self._ids
        self._ids.pop(name, None)
        self._ids[name] = None
        if len(self._ids) > self._limit:
            del self._ids[next(iter(self._ids))]
        return new

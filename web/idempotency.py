"""Orders that are sent twice and carried out once: answers by key, kept in memory, oldest forgotten first."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ringfence.errors import Conflict

Value = TypeVar("Value")


@dataclass(slots=True)
class Slot(Generic[Value]):
    """What was answered under one key; None: nothing yet. Held by one request at a time."""

    digest: str
    value: Value | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Answers(Generic[Value]):
    """Answers by key. Thread-safe; a second request with a key waits for the first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._slots: OrderedDict[str, Slot[Value]] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def once(self, key: str, body: Mapping[str, Any]) -> Iterator[Slot[Value]]:
        """The slot of a key, locked; a request that fails leaves it empty for the next.

        Raises:
            Conflict: the key was used with another body.
        """
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with self._lock:
            slot = self._slots.setdefault(key, Slot(digest))
            self._slots.move_to_end(key)
            while len(self._slots) > self._limit:
                self._slots.popitem(last=False)
        with slot.lock:
            if slot.value is None:
                slot.digest = digest
            elif slot.digest != digest:
                raise Conflict("this Idempotency-Key was used for another order")
            yield slot

"""What the web needs from the rest, as narrow protocols; the composition root hands it over in one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from audit.log import AuditLog
from ringfence.clock import Clock
from ringfence.config import Config
from ringfence.store.flows import FlowReader
from ringfence.store.state import State
from web.actions import Actions


class LiveMessage(Protocol):
    """Something that happened: `topic` is flows or one of `web.changes.TOPICS`."""

    @property
    def number(self) -> int: ...

    @property
    def topic(self) -> str: ...

    @property
    def body(self) -> Mapping[str, Any]: ...


class LiveFeed(Protocol):
    """Numbered messages in memory, as the service publishes them."""

    @property
    def closed(self) -> bool: ...

    def watching(self) -> AbstractContextManager[None]: ...

    def after(self, number: int, timeout: float) -> Sequence[LiveMessage]:
        """Messages with a higher number; waits up to `timeout` seconds for the first."""

    def last(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`status` returns plain figures of this process: `version`, `limits` (sentences) and `doctor` (rows with name,
    state, detail, hint), each optional. `live` None: this process sees no flows itself, the store is asked instead.
    `stalled` names the loops of this process that do not go on. `elsewhere` are the topics that other processes change
    too, in the shared stores and without a word in `live`."""

    flows: FlowReader
    state: State
    actions: Actions
    audit: AuditLog
    config: Config
    clock: Clock
    status: Callable[[], Mapping[str, Any]]
    live: LiveFeed | None = None
    stalled: Callable[[], Sequence[str]] = tuple
    elsewhere: frozenset[str] = frozenset()

"""What people may order through the web: the composition root implements it, the web only calls it.

Every method checks nothing about the caller's role (the web did) and writes the audit record itself, before acting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ringfence.model.quarantine import ControlledAccess, Quarantine
from ringfence.store.state import PolicyRevision, ReportRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who orders, and from which address."""

    name: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinePlan:
    """What a quarantine would do, before it is ordered. `refusal` says why it cannot be done, empty when it can."""

    workload: str
    workload_name: str
    containment: str
    reason: str
    open_connections: int
    peers: tuple[str, ...]
    refusal: str = ""


class Actions(Protocol):
    """Orders; each returns the state it led to."""

    def apply_policy(self, *, text: str, reason: str, actor: Actor, expected: int | None) -> PolicyRevision:
        """Raises `PolicyInvalid` with every problem, `Conflict` when `expected` is stale."""

    def plan_quarantine(self, workload: str) -> QuarantinePlan: ...

    def quarantine(
        self, *, workload: str, reason: str, actor: Actor, expires: datetime, access: tuple[ControlledAccess, ...] = ()
    ) -> Quarantine:
        """Returns at once with state `applying`; the state in the store follows."""

    def release(self, *, quarantine: str, reason: str, actor: Actor) -> Quarantine: ...

    def make_report(self, *, kind: str, parameters: Mapping[str, Any], actor: Actor) -> ReportRecord:
        """Returns at once with state `running`; `Reports` shows when it is done."""

"""What a report is computed from: the questions it puts to the stores, with progress and cancellation between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from audit.reader import AuditHead
from audit.report.parameters import Parameters
from audit.verify import Verification
from ringfence.clock import Clock
from ringfence.errors import RingfenceError
from ringfence.model.event import AuditRecord, EventAction
from ringfence.model.filter import And, Comparison, Filter, Not, Term
from ringfence.model.gap import Gap
from ringfence.store.flows import FlowQuery, FlowReader
from ringfence.store.state import State

MOST_GROUPS = 10_000
Progress = Callable[[float, str], None]
"""Called with the share done (0..1) and what is being done."""


class ReportCancelled(RingfenceError):
    """Whoever ordered the report no longer wants it."""


class Trail(Protocol):
    """The audit log, as far as reports read it."""

    def records(self) -> Iterator[AuditRecord]: ...

    def head(self) -> AuditHead: ...

    def verify(self) -> Verification: ...


def no_progress(share: float, step: str) -> None:
    """For callers that do not want to know."""


def never() -> bool:
    """For callers that never cancel."""
    return False


def term(field: str, value: str = "*") -> Term:
    """`field: value`, or that the field has a value."""
    return Term(field=field, comparison=Comparison.EXISTS if value == "*" else Comparison.EQUALS, value=value, offset=0)


DENIED: Filter = term("enforced", "denied")
STAGED: Filter = And(operands=(term("staged", "denied"), Not(operand=DENIED)))
"""Not denied, but would have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The stores, the window and the filter of one report. `trail` None: this process cannot read the audit log."""

    parameters: Parameters
    flows: FlowReader
    state: State
    trail: Trail | None
    clock: Clock
    progress: Progress = no_progress
    cancelled: Callable[[], bool] = never

    def step(self, share: float, what: str) -> None:
        """Say how far the report is; raises `ReportCancelled` when it is no longer wanted."""
        if self.cancelled():
            raise ReportCancelled("the report was cancelled")
        self.progress(share, what)

    def query(self, *conditions: Filter) -> FlowQuery:
        """The window and the report's own filter, narrowed by `conditions`."""
        parts = tuple(part for part in (self.parameters.filter, *conditions) if part is not None)
        narrowed = And(operands=parts) if len(parts) > 1 else (parts[0] if parts else None)
        return FlowQuery(start=self.parameters.start, end=self.parameters.end, filter=narrowed)

    def summary(self, by: tuple[str, ...], *conditions: Filter, limit: int = MOST_GROUPS) -> tuple[dict[str, Any], ...]:
        """Rows of `FlowReader.summarize`, most flows first."""
        return tuple(self.flows.summarize(self.query(*conditions), by, limit=limit).to_pylist())

    def gaps(self) -> tuple[Gap, ...]:
        return self.flows.gaps(self.parameters.start, self.parameters.end)

    def events(self, *actions: EventAction) -> tuple[AuditRecord, ...]:
        """Records of the window with one of these actions, oldest first; none without a trail."""
        if self.trail is None:
            return ()
        # Records are in the order of writing: whatever one of them says of its time, the next may be of the window.
        return tuple(
            record
            for record in self.trail.records()
            if record.event.action in actions and self.parameters.start <= record.event.at < self.parameters.end
        )

"""A batch's way from the spool: judged, stored, turned into findings, answered, shown; then acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import pyarrow as pa

from policy_engine.judge import Judge
from ringfence import metrics
from ringfence.clock import Clock
from ringfence.errors import StoreUnavailable
from ringfence.log import logger
from ringfence.model.event import AuditEvent, EventAction
from ringfence.model.flow import FlowBatch
from ringfence.model.gap import Gap
from ringfence.service.feed import Feed
from ringfence.service.policy import PolicyInForce
from ringfence.service.told import Told
from ringfence.service.violations import Violations
from ringfence.store.flows import FlowWriter
from ringfence.store.state import Findings


class Source(Protocol):
    """A queue of batches that keeps each until it is acknowledged."""

    def peek(self) -> FlowBatch | None: ...

    def ack(self, batch_id: str) -> None: ...


class Shipping:
    """Takes batches from the sources in turn. Nothing is acknowledged before the store has it."""

    def __init__(
        self,
        *,
        sources: Sequence[Source],
        policy: PolicyInForce,
        flows: FlowWriter,
        findings: Findings,
        respond: Callable[[pa.Table], None],
        account: Callable[[AuditEvent], None],
        feed: Feed,
        clock: Clock,
        violations: Violations | None = None,
        begin: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        """`begin` tells, once the store answers, which open flows a former run has counted; before, nothing is shipped.

        Without it `violations` knows them.
        """
        self._sources = sources
        self._policy = policy
        self._flows = flows
        self._findings = findings
        self._respond = respond
        self._account = account
        self._feed = feed
        self._clock = clock
        self._violations = violations or Violations()
        self._begin = begin
        self._begun: set[Source] = set()
        self._answered: dict[Source, str] = {}
        self._followed: dict[Source, str] = {}
        self._told = Told()
        self._failures = 0
        self.problem = ""
        """What the store said when it failed last; empty once it has answered."""
        self._log = logger("shipping")

    @property
    def store_away(self) -> bool:
        """Whether the last attempt to store failed: batches are waiting."""
        return self._failures > 0

    def step(self) -> bool:
        """Ship one batch of each source; True when there may be more."""
        try:
            if self._begin is not None:
                self._violations.note(self._begin())
                self._begin = None
            moved = [self._ship(source) for source in self._sources]
        except StoreUnavailable as error:
            self._note_failure(error)
            return False
        self._failures, self.problem = 0, ""
        return any(moved)

    def _ship(self, source: Source) -> bool:
        batch = source.peek()
        if batch is None:
            return False
        judge = self._policy.current.judge
        flows = judge.stage(batch.flows)
        first = source not in self._begun
        if batch.id != self._answered.get(source):
            # Before the store has it: a scanner is contained also while the store is away.
            self._respond(flows)
            self._answered[source] = batch.id
        stored = self._flows.append(FlowBatch(id=batch.id, host=batch.host, flows=flows, gaps=batch.gaps))
        metrics.FLOWS_STORED.inc(flows.num_rows if stored else 0)
        if first and not stored:
            # A killed process left it behind: whether its findings were kept, nobody knows.
            self._violations.forget(flows.column("flow_id").to_pylist())
        self._begun.add(source)
        if batch.id != self._followed.get(source):
            # Also when it was stored before: the store's answer to the first attempt may have been lost.
            self._follow(batch, flows, judge)
            self._followed[source] = batch.id
        source.ack(batch.id)
        return True

    def _follow(self, batch: FlowBatch, flows: pa.Table, judge: Judge) -> None:
        findings, flow_ids = self._violations.find(judge, flows)
        for finding in findings:
            kept, new = self._findings.record(finding)
            if new:
                metrics.FINDINGS.labels(severity=kept.severity.value).inc()
                self._feed.publish("finding", {"id": kept.id, "sentence": kept.sentence, "severity": kept.severity})
        self._violations.note(flow_ids)
        for gap in batch.gaps:
            if self._told.news(gap.id):
                self._tell(gap)
        if self._feed.watched and flows.num_rows:
            self._feed.publish("flows", {"flows": flows.num_rows})

    def _tell(self, gap: Gap) -> None:
        """The flow store holds it under this id, and how long it lasted in the end.

        The record's time is now: a gap of an old capture that is imported does not change what was accounted for then.
        """
        lasted = {"started": gap.started.isoformat(), "ended": gap.ended.isoformat()}
        self._account(
            AuditEvent(
                at=self._clock(),
                actor="collector",
                action=EventAction.GAP_RECORDED,
                target=gap.host,
                detail={"gap": gap.id, "cause": gap.cause.value, "lost": gap.lost, **lasted},
            )
        )
        self._feed.publish("gap", {"id": gap.id, "cause": gap.cause.value, "lost": gap.lost})

    def _note_failure(self, error: StoreUnavailable) -> None:
        self._failures, self.problem = self._failures + 1, str(error)
        if self._failures in (1, 10, 100):
            self._log.warning("store is away, flows wait in the spool", attempt=self._failures, error=str(error))

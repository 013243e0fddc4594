"""Automation: what the policy's response rules decided becomes orders and findings, and is accounted for either way."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from policy_engine.response import HOUR, Acted, Responder, ResponseDecision
from ringfence import metrics
from ringfence.clock import Clock
from ringfence.errors import Conflict
from ringfence.model.event import AuditEvent, EventAction
from ringfence.model.finding import Finding, FindingKind, Severity
from ringfence.model.policy import ResponseAction, Selector
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.model.workload import Workload
from ringfence.service.policy import PolicyInForce
from ringfence.store.state import Findings, Quarantines

AUTHOR = "automation:"


@dataclass(slots=True)
class _Due:
    """A decision until everything that follows from it is written down; `id` is that of its order and its finding."""

    decision: ResponseDecision
    at: datetime
    ordered: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


class Responding:
    """Feeds judged flows to the responder and writes its decisions down."""

    def __init__(
        self,
        *,
        policy: PolicyInForce,
        quarantines: Quarantines,
        findings: Findings,
        find: Callable[[str], Workload | None],
        known: Callable[[str], Workload | None],
        account: Callable[[AuditEvent], None],
        wake: Callable[[], None],
        clock: Clock,
        protected: Selector | None = None,
    ) -> None:
        """`find` tells workloads of this kernel, `known` those of any host, running or not."""
        self._policy = policy
        self._quarantines = quarantines
        self._findings = findings
        self._find, self._known = find, known
        self._account = account
        self._wake = wake
        self._clock = clock
        self._revision = -1
        self._responder = Responder(policy.current.policies, protected=protected)
        self._due: deque[_Due] = deque()

    def observe(self, flows: pa.Table) -> None:
        """Look at one judged batch and do what its denied rows call for.

        Raises:
            StoreUnavailable: what was decided is kept; the caller brings the batch again, and it is done then.
        """
        current = self._policy.current
        if current.revision != self._revision:
            self._revision = current.revision
            self._responder = self._responder.replaced(current.policies)
        self._settle()
        if not self._responder.evidence(flows).num_rows:
            return
        now = self._clock()
        quarantined = frozenset(item.workload for item in self._quarantines.active())
        decisions = self._responder.observe(flows, now=now, quarantined=quarantined, isolated=self._isolated(now))
        self._due.extend(_Due(decision, now) for decision in decisions)
        self._settle()

    def _settle(self) -> None:
        while self._due:
            self._take(self._due[0])
            self._due.popleft()

    def _isolated(self, now: datetime) -> Sequence[Acted]:
        """What automation isolated in the last hour, on any host and before any restart."""
        return [
            Acted(
                rule=item.author.removeprefix(AUTHOR),
                workload=item.workload,
                at=item.created,
                labels=found.labels if (found := self._find(item.workload) or self._known(item.workload)) else None,
            )
            for item in self._quarantines.list(limit=1000)
            if item.author.startswith(AUTHOR) and item.created > now - HOUR
        ]

    def _take(self, due: _Due) -> None:
        """The order first: an account of what was not done is worse than a deed that is accounted for later."""
        decision, workload = due.decision, self._find(due.decision.workload)
        withheld = decision.withheld
        if not withheld and not due.ordered:
            withheld = self._act(due, workload)
        if withheld:
            metrics.RESPONSES.labels(result="withheld").inc()
            self._note(EventAction.RESPONSE_WITHHELD, due, withheld)
            return
        kept, new = self._findings.record(_finding(due))
        if new:
            metrics.FINDINGS.labels(severity=kept.severity.value).inc()
        metrics.RESPONSES.labels(result="acted").inc()
        self._note(EventAction.RESPONSE_TRIGGERED, due, "")

    def _act(self, due: _Due, workload: Workload | None) -> str:
        """Order the quarantine, if that is what was decided; why not, when it cannot be."""
        if workload is None:
            return "the workload is gone"
        if due.decision.action is ResponseAction.QUARANTINE:
            try:
                self._quarantines.add(_order(due, workload))
            except Conflict:
                return "the workload is in quarantine already"
            due.ordered = True
            self._wake()
        return ""

    def _note(self, action: EventAction, due: _Due, withheld: str) -> None:
        decision = due.decision
        detail = {"rule": decision.rule, "reason": decision.reason, "flows": list(decision.flows)}
        self._account(
            AuditEvent(
                at=due.at,
                actor=f"{AUTHOR}{decision.rule}",
                action=action,
                target=decision.workload_name,
                detail=detail | ({"withheld": withheld} if withheld else {}),
            )
        )


def _order(due: _Due, workload: Workload) -> Quarantine:
    decision = due.decision
    expires = decision.expires if decision.expires > timedelta(0) else timedelta(hours=1)
    return Quarantine(
        id=due.id,
        workload=workload.id,
        workload_name=workload.name,
        host=workload.host,
        state=QuarantineState.APPLYING,
        reason=decision.reason,
        author=f"{AUTHOR}{decision.rule}",
        created=due.at,
        expires=due.at + expires,
        finding=due.id,
    )


def _finding(due: _Due) -> Finding:
    """Each quarantine has a finding of its own, which it names; notices about one workload are one finding."""
    decision = due.decision
    isolated = decision.action is ResponseAction.QUARANTINE
    return Finding(
        id=due.id,
        key=f"response:{due.id}" if isolated else f"response:{decision.rule}:{decision.workload}",
        kind=FindingKind.DETECTION,
        severity=Severity.HIGH if isolated else Severity.MEDIUM,
        sentence=decision.reason,
        workload=decision.workload,
        workload_name=decision.workload_name,
        flows=decision.flows,
        first_seen=due.at,
        last_seen=due.at,
        response=decision.action.value,
    )

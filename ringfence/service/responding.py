"""Automation: what the policy's response rules decided becomes orders, within caps, and is accounted for either way."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import pyarrow as pa

from policy_engine.response import Responder, ResponseDecision
from ringfence import metrics
from ringfence.clock import Clock
from ringfence.model.event import AuditEvent, EventAction
from ringfence.model.policy import ResponseAction, Selector
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.model.workload import Workload
from ringfence.service.policy import PolicyInForce
from ringfence.store.state import Quarantines


class Responding:
    """Feeds judged flows to the responder and writes its decisions down as orders."""

    def __init__(
        self,
        *,
        policy: PolicyInForce,
        quarantines: Quarantines,
        find: Callable[[str], Workload | None],
        account: Callable[[AuditEvent], None],
        wake: Callable[[], None],
        clock: Clock,
        protected: Selector | None = None,
    ) -> None:
        self._policy = policy
        self._quarantines = quarantines
        self._find = find
        self._account = account
        self._wake = wake
        self._clock = clock
        self._revision = -1
        self._responder = Responder(policy.current.policies, protected=protected)

    def observe(self, flows: pa.Table) -> None:
        """Look at one judged batch and order what its denied rows call for."""
        current = self._policy.current
        if current.revision != self._revision:
            self._revision = current.revision
            self._responder = self._responder.replaced(current.policies)
        now = self._clock()
        quarantined = frozenset(item.workload for item in self._quarantines.active())
        for decision in self._responder.observe(flows, now=now, quarantined=quarantined):
            self._take(decision, now)

    def _take(self, decision: ResponseDecision, now: datetime) -> None:
        workload = self._find(decision.workload)
        name = workload.name if workload else decision.workload
        withheld = decision.withheld or ("" if workload else "the workload is gone") or self._capped(decision, now)
        if withheld or workload is None:
            metrics.RESPONSES.labels(result="withheld").inc()
            self._note(EventAction.RESPONSE_WITHHELD, decision, name, now, withheld)
            return
        metrics.RESPONSES.labels(result="acted").inc()
        self._note(EventAction.RESPONSE_TRIGGERED, decision, name, now, "")
        if decision.action is ResponseAction.QUARANTINE:
            self._quarantines.save(_order(decision, workload, now))
            self._wake()

    def _capped(self, decision: ResponseDecision, now: datetime) -> str:
        """Whether the store holds as many orders of this rule as an hour may have: the cap outlives a restart."""
        rule = next((item for item in self._policy.current.policies.responses if item.name == decision.rule), None)
        if rule is None or decision.action is not ResponseAction.QUARANTINE:
            return ""
        author, since = f"automation:{rule.name}", now - timedelta(hours=1)
        made = sum(item.author == author and item.created > since for item in self._quarantines.list(limit=1000))
        return f"the cap of {rule.max_per_hour} per hour is reached" if made >= rule.max_per_hour else ""

    def _note(self, action: EventAction, decision: ResponseDecision, name: str, now: datetime, withheld: str) -> None:
        detail = {"rule": decision.rule, "reason": decision.reason, "flows": list(decision.flows)}
        self._account(
            AuditEvent(
                at=now,
                actor=f"automation:{decision.rule}",
                action=action,
                target=name,
                detail=detail | ({"withheld": withheld} if withheld else {}),
            )
        )


def _order(decision: ResponseDecision, workload: Workload, now: datetime) -> Quarantine:
    expires = decision.expires if decision.expires > timedelta(0) else timedelta(hours=1)
    return Quarantine(
        id=uuid.uuid4().hex,
        workload=workload.id,
        workload_name=workload.name,
        host=workload.host,
        state=QuarantineState.APPLYING,
        reason=decision.reason,
        author=f"automation:{decision.rule}",
        created=now,
        expires=now + expires,
    )

"""What people order through the web or the API: recorded first, then handed on through the state store."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import collapse_addresses
from typing import Any

from audit.log import AuditLog
from policy_engine.compile import compile_rulesets
from policy_engine.numbering import numbered
from policy_engine.parse import parse_policy
from ringfence.clock import Clock
from ringfence.errors import Conflict, NotFound, NotPermitted, RingfenceError
from ringfence.model.event import AuditEvent, EventAction
from ringfence.model.filter import And, Comparison, Filter, Not, Term
from ringfence.model.quarantine import ControlledAccess, Quarantine, QuarantineState
from ringfence.model.verdict import Direction
from ringfence.model.workload import Containment, Workload, WorkloadKind
from ringfence.store.flows import FlowQuery, FlowReader
from ringfence.store.state import PolicyRevision, ReportRecord, State
from web.actions import Actor, QuarantinePlan

LONGEST = timedelta(days=30)
WIDEST = {4: 8, 6: 16}
"""Prefix lengths of the widest exception: an exception is for a few machines."""
RECENT = timedelta(minutes=15)
UNFORESEEN = "an internal error; see the log"


class Orders:
    """Implements `web.actions.Actions`. Raises `AuditUnavailable` when an order cannot be recorded: it is not done."""

    def __init__(
        self,
        *,
        state: State,
        flows: FlowReader,
        audit: AuditLog,
        policy_changed: Callable[[], None],
        quarantine_changed: Callable[[], None],
        run_report: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._state = state
        self._flows = flows
        self._audit = audit
        self._policy_changed = policy_changed
        self._quarantine_changed = quarantine_changed
        self._run_report = run_report
        self._clock = clock

    def apply_policy(self, *, text: str, reason: str, actor: Actor, expected: int | None) -> PolicyRevision:
        current = self._state.policies.current()
        try:
            # Compiled once for nothing, so that a policy which is too large for the kernel is refused here as well.
            policies = parse_policy(text)
            for ruleset in compile_rulesets(policies, self._state.workloads.current(), lambda ref: 0).values():
                if ruleset.problem:
                    raise RingfenceError(ruleset.problem)
            self._state.rule_numbers.check(numbered(policies), at=self._clock())
        except RingfenceError as error:
            problems = [str(problem) for problem in getattr(error, "problems", (error,))[:20]]
            self._record(EventAction.POLICY_REFUSED, "policy", actor, outcome="failure", problems=problems)
            raise
        if expected is not None and expected != current.revision:
            raise Conflict(f"revision {current.revision} is in force, the change was made on revision {expected}")
        self._record(EventAction.POLICY_APPLIED, "policy", actor, reason=reason, replaces=current.revision, text=text)
        with self._failure_recorded(EventAction.POLICY_REFUSED, "policy", actor):
            revision = self._state.policies.apply(
                text=text, author=actor.name, reason=reason, at=self._clock(), expected=current.revision
            )
        self._policy_changed()
        return revision

    def plan_quarantine(self, workload: str) -> QuarantinePlan:
        found = self._workload(workload)
        now = self._clock()
        live = self._flows.search(
            FlowQuery(start=now - RECENT, end=now + timedelta(seconds=1), filter=_open_flows_of(found.id)), limit=500
        )
        peers = {_peer(row, found.id) for row in live.rows}
        return QuarantinePlan(
            workload=found.id,
            workload_name=found.name,
            containment=found.containment.value,
            reason=found.containment_reason,
            open_connections=live.total,
            peers=tuple(sorted(peers)),
            refusal=self._refusal(found),
        )

    def quarantine(
        self, *, workload: str, reason: str, actor: Actor, expires: datetime, access: tuple[ControlledAccess, ...] = ()
    ) -> Quarantine:
        found = self._workload(workload)
        now = self._clock()
        if not reason.strip():
            raise RingfenceError("a quarantine needs a reason")
        if not now < expires <= now + LONGEST:
            raise RingfenceError(f"the expiry must lie in the next {LONGEST.days} days")
        if refusal := self._refusal(found) or _hollow(access):
            raise NotPermitted(refusal)
        order = Quarantine(
            id=uuid.uuid4().hex,
            workload=found.id,
            workload_name=found.name,
            host=found.host,
            state=QuarantineState.APPLYING,
            reason=reason.strip(),
            author=actor.name,
            created=now,
            expires=expires,
            access=access,
        )
        self._record(
            EventAction.QUARANTINE_ORDERED,
            found.name,
            actor,
            quarantine=order.id,
            workload=found.id,
            reason=order.reason,
            expires=expires.isoformat(),
            access=[f"{item.direction} {item.network} {item.service}" for item in access],
        )
        about = {"quarantine": order.id, "workload": found.id}
        with self._failure_recorded(EventAction.QUARANTINE_ORDERED, found.name, actor, **about):
            self._state.quarantines.add(order)
        self._quarantine_changed()
        return order

    def release(self, *, quarantine: str, reason: str, actor: Actor) -> Quarantine:
        found = self._state.quarantines.get(quarantine)
        if found is None:
            raise NotFound("no such quarantine")
        if not found.active or found.released is not None:
            return found
        now = self._clock()
        about = {"quarantine": found.id, "reason": reason, "step": "ordered"}
        self._record(EventAction.QUARANTINE_RELEASED, found.workload_name, actor, **about)
        with self._failure_recorded(EventAction.QUARANTINE_RELEASED, found.workload_name, actor, **about):
            wished = self._state.quarantines.wish_release(found.id, at=now, by=actor.name)
        self._quarantine_changed()
        if wished:
            return replace(found, released=now, released_by=actor.name)
        return self._state.quarantines.get(found.id) or found

    def make_report(self, *, kind: str, parameters: Mapping[str, Any], actor: Actor) -> ReportRecord:
        record = ReportRecord(
            id=uuid.uuid4().hex,
            kind=kind,
            title=kind,
            created=self._clock(),
            author=actor.name,
            parameters=parameters,
            digest="",
            files={},
            state="running",
        )
        self._record(EventAction.REPORT_CREATED, kind, actor, report=record.id, parameters=dict(parameters))
        with self._failure_recorded(EventAction.REPORT_CREATED, kind, actor, report=record.id):
            self._state.reports.save(record)
        self._run_report(record.id)
        return record

    def _workload(self, workload_id: str) -> Workload:
        found = self._state.workloads.get(workload_id)
        if found is None:
            raise NotFound("no such workload")
        return found

    def _refusal(self, workload: Workload) -> str:
        if not workload.running:
            return f"{workload.name} is not running"
        if workload.kind is WorkloadKind.EXTERNAL:
            return f"{workload.name} is a network outside: isolate the workloads that must not reach it"
        if workload.containment is Containment.NOT_CONTAINABLE:
            return f"{workload.name} cannot be contained: {workload.containment_reason}; pause or stop it instead"
        if any(item.workload == workload.id for item in self._state.quarantines.active()):
            return f"{workload.name} is in quarantine already"
        return ""

    @contextmanager
    def _failure_recorded(self, action: EventAction, target: str, actor: Actor, **detail: Any) -> Iterator[None]:
        """What was recorded as ordered is done inside; whatever prevents it is recorded too, and passes on."""
        try:
            yield
        except BaseException as error:
            problem = str(error) if isinstance(error, RingfenceError) else UNFORESEEN
            self._record(action, target, actor, outcome="failure", problems=[problem], **detail)
            raise

    def _record(
        self, action: EventAction, target: str, actor: Actor, *, outcome: str = "success", **detail: Any
    ) -> None:
        self._audit.append(
            AuditEvent(
                at=self._clock(),
                actor=actor.name,
                action=action,
                target=target,
                outcome=outcome,
                origin=actor.origin,
                detail=detail,
            )
        )


def _open_flows_of(workload_id: str) -> Filter:
    """What a quarantine would cut: connections of the workload that are allowed and have not ended."""
    return And(
        operands=(
            Term(field="workload", comparison=Comparison.EQUALS, value=workload_id, offset=0),
            Term(field="enforced", comparison=Comparison.EQUALS, value="allowed", offset=0),
            Not(operand=Term(field="ended", comparison=Comparison.EXISTS, value="*", offset=0)),
        )
    )


def _hollow(access: Sequence[ControlledAccess]) -> str:
    """Why these exceptions would leave nothing isolated; empty when they do not."""
    for direction in Direction:
        for version in (4, 6):
            networks = [item.network for item in access if item.direction is direction]
            merged = collapse_addresses([item for item in networks if item.version == version])  # type: ignore[type-var]
            if any(network.prefixlen < WIDEST[version] for network in merged):
                return f"the exceptions would let too much of IPv{version} {direction} through for a quarantine"
    return ""


def _peer(row: Mapping[str, Any], workload_id: str) -> str:
    side = "dst" if row["src_workload"] == workload_id else "src"
    return str(row[f"{side}_name"] or row[f"{side}_ip"])

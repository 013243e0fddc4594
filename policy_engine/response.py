"""Automated responses: which workload has been denied often enough, and whether it may be acted upon.

A state machine without a clock: the caller says what time it is. Its memory is bounded, and a decision is always
reported, also when it is withheld, so that a storm of violations cannot take down a fleet in silence.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from policy_engine.identity import labels_of
from policy_engine.matching import selects
from ringfence.model.policy import PolicySet, ResponseAction, ResponseRule, Selector
from ringfence.model.verdict import QUARANTINE_TIER, Outcome, parse_ref
from ringfence.model.workload import Method, WorkloadKind

MAX_SOURCES = 4_096
"""Workloads counted at a time; the one that was quiet longest is forgotten first."""
MAX_EVIDENCE = 20
SETTLING = timedelta(seconds=30)
"""An order this young may not be among the caller's quarantines yet."""
REPEAT = timedelta(minutes=10)
"""A decision withheld for the same reason is not reported again within this time."""
STALE = timedelta(minutes=1)
"""Evidence older than this, or than the rule's window if that is longer, triggers nothing any more."""
HOUR = timedelta(hours=1)

ACTED_UPON = (WorkloadKind.CONTAINER.value, WorkloadKind.POD.value, WorkloadKind.VM.value)

COLUMNS = (
    "flow_id",
    "started",
    "enforced",
    "rule",
    "src_workload",
    "src_name",
    "src_kind",
    "src_labels",
    "src_method",
    "dst_workload",
    "dst_name",
    "dst_labels",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """One workload that was acted upon, or would have been. `labels` None: not known any more; it counts for all.

    `isolated` False: a notice or a dry run, which counts for its own rule only.
    """

    rule: str
    workload: str
    at: datetime
    labels: Mapping[str, str] | None
    isolated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseDecision:
    """What a response rule calls for. `act` False: nothing is to be done, `withheld` says why.

    `rule` is the rule's name, `reason` a sentence, `flows` are ids of evidence (at most 20), `expires` is how long a
    quarantine lasts.
    """

    rule: str
    action: ResponseAction
    workload: str
    workload_name: str
    reason: str
    flows: tuple[str, ...]
    expires: timedelta
    act: bool
    withheld: str = ""


@dataclass(slots=True)
class _Attempts:
    """Denied connections of one workload that one rule counts, oldest first.

    `spent` are those that an earlier decision rests on: they are not counted a second time.
    """

    times: OrderedDict[str, datetime] = field(default_factory=OrderedDict)
    spent: dict[str, datetime] = field(default_factory=dict)

    def add(self, flow: str, at: datetime, within: timedelta) -> None:
        """Count a connection and forget what lies `within` or longer before the latest one."""
        late = bool(self.times) and at < next(reversed(self.times.values()))
        self.times[flow] = at
        if late:
            self.times = OrderedDict(sorted(self.times.items(), key=lambda item: (item[1], item[0])))
        horizon = next(reversed(self.times.values())) - within
        while next(iter(self.times.values())) <= horizon:
            self.times.popitem(last=False)

    def spend(self, horizon: datetime) -> tuple[str, ...]:
        """The connections counted; counting starts anew."""
        flows = tuple(self.times)
        self.spent = {flow: at for flow, at in self.spent.items() if at > horizon} | dict(self.times)
        self.times = OrderedDict()
        return flows


class Responder:
    """Counts denied connections per rule and source. Not thread-safe."""

    def __init__(self, policies: PolicySet, *, protected: Selector | None = None) -> None:
        """`protected` selects workloads that no rule may act upon, beside each rule's own."""
        self._rules = policies.responses
        self._protected = protected
        self._attempts: OrderedDict[tuple[str, str], _Attempts] = OrderedDict()
        self._acted: deque[Acted] = deque()
        self._isolated: list[Acted] = []
        self._ordered: dict[str, datetime] = {}
        self._reported: OrderedDict[tuple[str, str, str], datetime] = OrderedDict()

    def replaced(self, policies: PolicySet) -> Responder:
        """A responder for another policy that remembers what was counted and done: caps outlive an edit."""
        other = Responder(policies, protected=self._protected)
        unchanged = {rule.name for rule in policies.responses if rule in self._rules}
        other._attempts = OrderedDict((key, item) for key, item in self._attempts.items() if key[0] in unchanged)
        other._acted = deque(self._acted)
        other._ordered = dict(self._ordered)
        other._reported = OrderedDict((key, at) for key, at in self._reported.items() if key[0] in unchanged)
        return other

    def observe(
        self,
        flows: pa.Table,
        *,
        now: datetime,
        quarantined: AbstractSet[str] = frozenset(),
        isolated: Sequence[Acted] = (),
    ) -> tuple[ResponseDecision, ...]:
        """Count the denied rows of a judged batch and decide, in order of time, then of flow id.

        Only what the kernel denied counts; a flow counts once, however often it is seen. `isolated` is what automation
        did in the last hour, here before a restart or elsewhere: caps hold for all of it together.
        """
        denied = self.evidence(flows)
        if not denied.num_rows:
            return ()
        decisions: list[ResponseDecision] = []
        self._forget(now)
        self._isolated = [item for item in isolated if item.at > now - HOUR]
        for row in sorted(denied.to_pylist(), key=lambda item: (item["started"], item["flow_id"])):
            if row["src_workload"] is None or _by_quarantine(row["rule"]) or row["src_workload"] in quarantined:
                continue
            for rule in self._rules:
                decision = self._count(rule, row, now)
                if decision is not None:
                    decisions.append(decision)
        return tuple(decisions)

    def evidence(self, flows: pa.Table) -> pa.Table:
        """The denied rows, as far as they matter: none without response rules."""
        denied = flows.select(COLUMNS)
        if not self._rules:
            return denied.slice(0, 0)
        return denied.filter(pc.equal(flows.column("enforced"), Outcome.DENIED.value))

    def _count(self, rule: ResponseRule, row: Mapping[str, Any], now: datetime) -> ResponseDecision | None:
        if not _concerns(rule, row):
            return None
        at = min(row["started"], now)
        horizon = now - max(rule.within, STALE)
        if at <= horizon:
            return None
        key = (rule.name, row["src_workload"])
        attempts = self._attempts.setdefault(key, _Attempts())
        self._attempts.move_to_end(key)
        while len(self._attempts) > MAX_SOURCES:
            self._attempts.popitem(last=False)
        if row["flow_id"] in attempts.times or row["flow_id"] in attempts.spent:
            return None
        attempts.add(row["flow_id"], at, rule.within)
        if len(attempts.times) < rule.count:
            return None
        flows = attempts.spend(horizon)
        return self._decide(rule, row, _reason(rule, row, len(flows)), flows[-MAX_EVIDENCE:], now)

    def _decide(
        self, rule: ResponseRule, row: Mapping[str, Any], reason: str, flows: tuple[str, ...], now: datetime
    ) -> ResponseDecision | None:
        workload = row["src_workload"]
        withheld = self._refusal(rule, row, now)
        if workload in self._ordered and rule.action is ResponseAction.QUARANTINE:
            return None
        if withheld:
            key = (rule.name, workload, withheld)
            if key in self._reported:
                return None
            self._reported[key] = now
            while len(self._reported) > MAX_SOURCES:
                self._reported.popitem(last=False)
        else:
            isolated = rule.action is ResponseAction.QUARANTINE and not rule.dry_run
            labels = labels_of(row["src_labels"])
            self._acted.append(Acted(rule=rule.name, workload=workload, at=now, labels=labels, isolated=isolated))
            if rule.dry_run:
                withheld = "dry run"
            elif isolated:
                self._ordered[workload] = now
        return ResponseDecision(
            rule=rule.name,
            action=rule.action,
            workload=workload,
            workload_name=row["src_name"] or workload,
            reason=reason,
            flows=flows,
            expires=rule.expires,
            act=not withheld,
            withheld=withheld,
        )

    def _refusal(self, rule: ResponseRule, row: Mapping[str, Any], now: datetime) -> str:
        """Why this workload is not acted upon now; empty when it may be."""
        labels = labels_of(row["src_labels"])
        acting = rule.action is ResponseAction.QUARANTINE
        # An address can be forged by a neighbour; only the source's own namespace proves who sent.
        if acting and row["src_method"] != Method.NETNS.value:
            return "the source is not known for certain"
        if acting and row["src_kind"] not in ACTED_UPON:
            return f"automation does not isolate a {row['src_kind'] or 'workload of unknown kind'}"
        if acting and any(item is not None and selects(item, labels) for item in (rule.protected, self._protected)):
            return "the workload is protected"
        return self._capped(rule, labels)

    def _capped(self, rule: ResponseRule, labels: Mapping[str, str]) -> str:
        """Isolations of every rule count together: many rules must not multiply what one storm can take down."""
        known = {(item.rule, item.workload) for item in self._isolated}
        mine = [item for item in self._acted if not item.isolated or (item.rule, item.workload) not in known]
        acting = rule.action is ResponseAction.QUARANTINE
        counted = [item for item in (*self._isolated, *mine) if item.rule == rule.name or (acting and item.isolated)]
        if len(counted) >= rule.max_per_hour:
            return f"the cap of {rule.max_per_hour} per hour is reached"
        for label, most in rule.max_per_label:
            value = labels.get(label)
            alike = [item for item in counted if item.labels is None or item.labels.get(label) == value]
            if value is not None and len(alike) >= most:
                return f"the cap of {most} per hour for {label} {value} is reached"
        return ""

    def _forget(self, now: datetime) -> None:
        while self._acted and self._acted[0].at <= now - HOUR:
            self._acted.popleft()
        self._ordered = {workload: at for workload, at in self._ordered.items() if at > now - SETTLING}
        for key in [key for key, at in self._reported.items() if at <= now - REPEAT]:
            del self._reported[key]


def _concerns(rule: ResponseRule, row: Mapping[str, Any]) -> bool:
    if rule.source is not None and not selects(rule.source, labels_of(row["src_labels"])):
        return False
    if rule.destination is None:
        return True
    return row["dst_workload"] is not None and selects(rule.destination, labels_of(row["dst_labels"]))


def _by_quarantine(rule: str | None) -> bool:
    ref = parse_ref(rule) if rule else None
    return ref is not None and ref.tier == QUARANTINE_TIER


def _reason(rule: ResponseRule, row: Mapping[str, Any], count: int) -> str:
    seconds = rule.within.total_seconds()
    target = f" to workloads that match {rule.destination.text}" if rule.destination is not None else ""
    name = row["src_name"] or row["src_workload"]
    return f"{name} had {count} connections{target} denied within {seconds:g} s (response {rule.name})"

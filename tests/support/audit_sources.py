"""Stores in memory for reports: flows as rows, and a state with just the lists that reports read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from audit.canonical import GENESIS
from audit.reader import AuditHead
from audit.report.completeness import examine_completeness
from audit.report.evidence import Evidence
from audit.report.parameters import Parameters
from audit.report.posture import examine_posture
from audit.report.sources import Sources
from audit.verify import Verification
from policy_engine.parse import parse_policy
from ringfence.model.enforcement import Enforcement, EnforcementState
from ringfence.model.event import AuditEvent, AuditRecord, EventAction
from ringfence.model.gap import Gap, GapCause
from ringfence.model.quarantine import Check, Proof, Quarantine, QuarantineState
from ringfence.model.workload import Workload, WorkloadKind
from ringfence.store.filter.parser import parse_filter
from ringfence.store.filter.predicate import to_predicate
from ringfence.store.flows import FlowPage, FlowQuery
from ringfence.store.state import HostStatus, PolicyRevision

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
END = START + timedelta(hours=1)
NOW = END + timedelta(seconds=30)

SHOP_POLICY = """
version: 1
default_mode: protect
tiers:
  - {name: application}
policies:
  - name: db
    tier: application
    selector: role == 'db'
    ingress:
      - {action: allow, from: [{selector: "role == 'api'"}], services: [{protocol: tcp, ports: [5432]}]}
    egress: []
  - name: api
    tier: application
    selector: role == 'api'
    ingress: []
    egress:
      - {action: allow, to: [{selector: "role == 'db'"}], services: [{protocol: tcp, ports: [5432]}]}
"""


def flow(source: str = "api", destination: str = "db", port: int | None = 5432, **fields: Any) -> dict[str, Any]:
    """One allowed connection between workloads of these names, as columns; `fields` replace any of them."""
    return {
        "src_workload": f"id-{source}", "src_name": source, "src_kind": "container", "src_ip": "10.0.0.1",
        "dst_workload": f"id-{destination}", "dst_name": destination, "dst_kind": "container", "dst_ip": "10.0.0.2",
        "transport": "tcp", "protocol": 6, "dst_port": port, "started": START + timedelta(minutes=5),
        "last_seen": START + timedelta(minutes=6), "enforced": "allowed", "enforced_basis": "explicit",
        "rule": "application/db/ingress/0", "sentence": "the rule says so", "staged": "allowed", "staged_rule": None,
        "staged_sentence": None, "egress_rule": "application/api/egress/0", "revision": 1,
        "ingress_rule": "application/db/ingress/0", "src_packets": 4, "src_bytes": 400, "dst_packets": 3,
        "dst_bytes": 1600, "flow_id": f"{source}-{destination}-{port}",
    } | fields  # fmt: skip


def denied(source: str = "web", destination: str = "db", port: int = 5432, **fields: Any) -> dict[str, Any]:
    given = {"enforced": "denied", "enforced_basis": "default", "rule": "application/ingress/default",
             "staged": "denied", "sentence": f"{source} is not allowed", "dst_bytes": None}  # fmt: skip
    return flow(source, destination, port, **(given | fields))


def slipped(source: str = "web", destination: str = "db", port: int = 23, **fields: Any) -> dict[str, Any]:
    """Allowed although policy denies it."""
    given = {"staged": "denied", "staged_rule": "application/ingress/default", "staged_sentence": "no rule lets it"}
    return flow(source, destination, port, **({"enforced_basis": "default"} | given | fields))


class RowFlows:
    """A `FlowReader` over rows; `gaps_found` are given whatever the window."""

    def __init__(self, rows: list[dict[str, Any]], gaps: tuple[Gap, ...] = ()) -> None:
        self.rows, self.gaps_found = rows, gaps

    def _matching(self, query: FlowQuery) -> list[dict[str, Any]]:
        test = to_predicate(query.filter)
        return [
            row for row in self.rows if row["started"] < query.end and row["last_seen"] >= query.start and test(row)
        ]

    def search(self, query: FlowQuery, *, limit: int = 100, cursor: str | None = None) -> FlowPage:
        found = self._matching(query)
        return FlowPage(rows=tuple(found[:limit]), cursor=None, total=len(found))

    def get(self, flow_id: str) -> dict[str, Any] | None:
        return next((row for row in self.rows if row["flow_id"] == flow_id), None)

    def summarize(self, query: FlowQuery, by: tuple[str, ...], *, limit: int = 10_000) -> pa.Table:
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in self._matching(query):
            groups.setdefault(tuple(row[name] for name in by), []).append(row)
        listed = sorted(groups.items(), key=lambda item: -len(item[1]))[:limit]
        return pa.Table.from_pylist([dict(zip(by, key, strict=True)) | _sums(rows) for key, rows in listed])

    def histogram(self, query: FlowQuery, *, bucket_seconds: int) -> pa.Table:
        rows = self._matching(query)
        split = {"allowed": 0, "denied": 0, "staged_denied": 0, "unknown": 0}
        for row in rows:
            staged = row["staged"] == "denied" and row["enforced"] != "denied"
            split["staged_denied" if staged else row["enforced"] or "unknown"] += 1
        return pa.Table.from_pylist([{"bucket": query.start} | split])

    def gaps(self, start: datetime, end: datetime) -> tuple[Gap, ...]:
        return self.gaps_found


def _sums(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "flows": len(rows),
        "denied": sum(row["enforced"] == "denied" for row in rows),
        "staged_denied": sum(row["enforced"] != "denied" and row["staged"] == "denied" for row in rows),
        "packets": sum((row["src_packets"] or 0) + (row["dst_packets"] or 0) for row in rows),
        "bytes": sum((row["src_bytes"] or 0) + (row["dst_bytes"] or 0) for row in rows),
        "first_seen": min(row["started"] for row in rows),
        "last_seen": max(row["last_seen"] for row in rows),
        "example": rows[0]["flow_id"],
    }


class ListTrail:
    """An audit log in memory that always is intact."""

    def __init__(self, *events: AuditEvent, problem: str | None = None) -> None:
        self._events, self._problem = events, problem

    def records(self) -> Iterator[AuditRecord]:
        return (
            AuditRecord(sequence=number, previous=GENESIS, hash="ab" * 32, event=event)
            for number, event in enumerate(self._events, start=1)
        )

    def head(self) -> AuditHead:
        return AuditHead(records=len(self._events))

    def verify(self) -> Verification:
        return Verification(ok=self._problem is None, records=len(self._events), problem=self._problem)


def workload(name: str, *, role: str = "", **fields: Any) -> Workload:
    given = {"kind": WorkloadKind.CONTAINER, "host": "h1", "labels": {"role": role or name}, "started": START}
    return Workload(id=f"id-{name}", name=name, **(given | fields))


def enforcement(name: str, **fields: Any) -> Enforcement:
    given = {"state": EnforcementState.IN_FORCE, "digest": "cd" * 32, "since": START, "verified": NOW}
    return Enforcement(workload=f"id-{name}", host="h1", **(given | fields))


def revision(number: int = 1, text: str = SHOP_POLICY, **fields: Any) -> PolicyRevision:
    given = {"author": "anna", "reason": "ticket 7", "applied": START - timedelta(days=3)}
    return PolicyRevision(revision=number, text=text, **(given | fields))


EMPTY = PolicyRevision(revision=0, text="", author="", reason="", applied=START - timedelta(days=99))


def state(
    *,
    workloads: tuple[Workload, ...] = (),
    enforcements: tuple[Enforcement, ...] = (),
    revisions: tuple[PolicyRevision, ...] = (),
    quarantines: tuple[Any, ...] = (),
    hosts: tuple[Any, ...] = (HostStatus(host="h1", at=NOW, facts={}, first_heard=START),),
    deleted: datetime | None = None,
) -> Any:
    """A `State` with these contents; `revisions` oldest first, without the empty one."""
    history = (*reversed(revisions), EMPTY)
    return SimpleNamespace(
        policies=SimpleNamespace(current=lambda: history[0], list=lambda limit=100: history[:limit]),
        workloads=SimpleNamespace(seen=lambda start, end: workloads, current=lambda: workloads),
        enforcements=SimpleNamespace(list=lambda: enforcements),
        quarantines=SimpleNamespace(list=lambda limit=200: quarantines),
        hosts=SimpleNamespace(list=lambda: hosts),
        deletions=SimpleNamespace(before=lambda what: deleted),
    )


def shop(**fields: Any) -> Any:
    """Web, api and db under `SHOP_POLICY`, all proven to be enforced."""
    names = ("web", "api", "db")
    given: Mapping[str, Any] = {
        "workloads": tuple(workload(name) for name in names),
        "enforcements": tuple(enforcement(name) for name in names),
        "revisions": (revision(),),
    }
    return state(**(dict(given) | fields))


def sources(
    rows: list[dict[str, Any]] | None = None,
    *,
    of: Any = None,
    trail: Any = None,
    gaps: tuple[Gap, ...] = (),
    text: str = "",
    **parameters: Any,
) -> Sources:
    """Everything a report needs, over the hour from `START`."""
    return Sources(
        parameters=Parameters(
            start=START, end=END, zone=ZoneInfo("UTC"), filter_text=text, filter=parse_filter(text), **parameters
        ),
        flows=RowFlows(rows or [], gaps),
        state=of if of is not None else shop(),
        trail=trail if trail is not None else ListTrail(),
        clock=lambda: NOW,
    )


def gap(**fields: Any) -> Gap:
    given = {"id": "g", "host": "h1", "started": START, "ended": END, "cause": GapCause.SOCKET_OVERRUN, "lost": 7}
    return Gap(**(given | fields))


def record(action: EventAction, minutes: int = 10, **fields: Any) -> AuditEvent:
    given = {"actor": "enforcer", "target": "db"}
    return AuditEvent(at=START + timedelta(minutes=minutes), action=action, **(given | fields))


def quarantine(number: int = 1, **fields: object) -> Quarantine:
    given = {
        "workload": "id-web", "workload_name": "web", "host": "h1", "state": QuarantineState.VERIFIED,
        "reason": "scan", "author": "response rule", "created": START + timedelta(minutes=number),
        "expires": END, "connections_cut": 2,
        "proof": Proof(at=START, checks=(Check(name="probe", passed=True, detail="nothing got out"),)),
    }  # fmt: skip
    return Quarantine(id=f"q{number}", **(given | fields))  # type: ignore[arg-type]


BY = (
    "src_workload", "src_name", "dst_workload", "dst_name", "transport", "protocol", "dst_port", "enforced",
    "enforced_basis", "staged",
)  # fmt: skip


def evidence(rows: list[dict[str, Any]] | None = None, *, text: str = SHOP_POLICY, **fields: Any) -> Evidence:
    asked = sources(rows, of=shop(revisions=(revision(1, text),), **fields))
    policies = parse_policy(text)
    return Evidence(
        policies=policies,
        revision=revision(1, text),
        history=(revision(1, text),),
        scope=examine_posture(asked, policies),
        edges=asked.summary(BY) if rows else (),
        quarantines=(),
        drifts=0,
        completeness=examine_completeness(asked),
        end=END,
    )

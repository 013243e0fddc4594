"""Workloads: what is this thing, and what may it do?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flask import Blueprint

from audit.report.completeness import unrecorded
from policy_engine.modes import mode_in
from ringfence.errors import NotFound
from ringfence.model.enforcement import Enforcement
from ringfence.model.quarantine import Quarantine
from ringfence.model.verdict import Mode
from ringfence.model.workload import Workload
from ringfence.store.flows import FlowQuery
from web.bar import read_bar
from web.download import Table, in_columns, offer
from web.edges import Edge, edge_filter, edges_of
from web.estate import inside
from web.finding_questions import about
from web.flow_questions import gaps_in
from web.guard import services
from web.policy_view import Hits, effective, hits_of, read_policy
from web.render import page
from web.scope import Scope, scope, strict_scope
from web.sorting import Keys, Order, in_order, read_order
from web.tokens import term

blueprint = Blueprint("workloads", __name__)
RANGE = "24h"
MOST_FINDINGS = 50
"""Findings on the page of one workload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One workload of the list, with its verdict counts in the window."""

    workload: Workload
    mode: Mode | None
    flows: int
    denied: int
    staged_denied: int
    bytes: int
    quarantine: Quarantine | None
    enforcement: Enforcement | None


SORTED: Keys[Line] = {
    "workload": lambda line: line.workload.name,
    "mode": lambda line: line.mode and list(Mode).index(line.mode),
    "kernel": lambda line: line.enforcement and line.enforcement.state,
    "flows": lambda line: line.flows,
    "denied": lambda line: line.denied,
    "would": lambda line: line.staged_denied,
    "bytes": lambda line: line.bytes,
    "started": lambda line: line.workload.started,
}


@blueprint.get("/workloads")
def show() -> tuple[str, int]:
    found = scope(default_range=RANGE)
    given = services()
    order = read_order(found.address.one("sort"), SORTED)
    lines, complete = _selected(found, order)
    return page(
        "pages/workloads.html",
        default_range=RANGE,
        lines=lines,
        order=order,
        wanted=_wanted(found),
        total=len(inside(given.state)),
        complete=complete,
        gaps=gaps_in(given.flows, found.window),
    ), 400 if found.window_error else 200


COLUMNS: Keys[Line] = {
    "id": lambda line: line.workload.id,
    "name": lambda line: line.workload.name,
    "quarantine": lambda line: line.quarantine and line.quarantine.state,
    "kind": lambda line: line.workload.kind,
    "image": lambda line: line.workload.image,
    "mode": lambda line: line.mode,
    "networks": lambda line: [item.network for item in line.workload.attachments if item.until is None],
    "addresses": lambda line: line.workload.addresses,
    "enforcement": lambda line: line.enforcement and line.enforcement.state,
    "enforcement_reason": lambda line: line.enforcement and line.enforcement.reason,
    "flows": lambda line: line.flows,
    "denied": lambda line: line.denied,
    "staged_denied": lambda line: line.staged_denied,
    "bytes": lambda line: line.bytes,
    "started": lambda line: line.workload.started,
}


def table() -> Table:
    """Every workload that the list shows."""
    found = strict_scope(default_range=RANGE)
    lines, complete = _selected(found, read_order(found.address.one("sort"), SORTED))
    notes = unrecorded(services().state, found.window.start, found.window.end)
    if not complete:
        notes.append("there are more kinds of connections than can be counted at once: counts are too low")
    return Table(
        what="workloads",
        columns=tuple(COLUMNS),
        rows=in_columns(lines, COLUMNS),
        count=len(lines),
        window=found.window,
        conditions={"name": _wanted(found)},
        gaps=gaps_in(services().flows, found.window),
        notes=notes,
    )


offer(blueprint, "/workloads", table)


def _wanted(found: Scope) -> str:
    return found.address.one("name").lower()


def _selected(found: Scope, order: Order) -> tuple[list[Line], bool]:
    """The workloads that the search finds, in order, and whether all of their connections are counted."""
    edges = edges_of(services().flows, FlowQuery(start=found.window.start, end=found.window.end))
    lines = [item for item in _lines(edges.edges) if _wanted(found) in _words(item.workload)]
    return in_order(lines, order, SORTED), edges.complete


@blueprint.get("/workloads/<workload_id>")
def one(workload_id: str) -> tuple[str, int]:
    found = scope(default_range=RANGE)
    given = services()
    workload = given.state.workloads.get(workload_id)
    if workload is None:
        raise NotFound("no workload with this id is known", hint="Names can be searched in the list of workloads.")
    query = FlowQuery(
        start=found.window.start, end=found.window.end, filter=read_bar(term("workload", workload_id)).filter
    )
    edges = edges_of(given.flows, query)
    policies = read_policy(given.state.policies.current().text)
    hits: Hits = hits_of(given.flows, query) if policies else {}
    quarantines = [item for item in given.state.quarantines.list() if item.workload == workload_id]
    return page(
        "pages/workload.html",
        default_range=RANGE,
        workload=workload,
        mode=mode_in(policies, workload) if policies else None,
        readable=policies is not None,
        policies=effective(policies, workload, hits) if policies else (),
        revision=given.state.policies.current(),
        enforcement=given.state.enforcements.get(workload_id),
        outgoing=[edge for edge in edges.edges if edge.src == workload_id],
        incoming=[edge for edge in edges.edges if edge.dst == workload_id],
        findings=about(given.state.findings, workload_id),
        most_findings=MOST_FINDINGS,
        quarantine=next((item for item in quarantines if item.active), None),
        quarantines=quarantines,
        edge_filter=edge_filter,
        gaps=gaps_in(given.flows, found.window),
    ), 400 if found.window_error else 200


def _lines(edges: Iterable[Edge]) -> list[Line]:
    """Every running workload; those that need attention first."""
    state = services().state
    policies = read_policy(state.policies.current().text)
    held = {item.workload: item for item in state.quarantines.active()}
    proofs = {item.workload: item for item in state.enforcements.list()}
    touching: dict[str, list[Edge]] = {}
    for edge in edges:
        for end in {edge.src, edge.dst}:
            touching.setdefault(end, []).append(edge)
    lines = []
    for workload in inside(state):
        mine = touching.get(workload.id, [])
        lines.append(
            Line(
                workload=workload,
                mode=mode_in(policies, workload) if policies else None,
                flows=sum(edge.flows for edge in mine),
                denied=sum(edge.denied for edge in mine),
                staged_denied=sum(edge.staged_denied for edge in mine),
                bytes=sum(edge.bytes for edge in mine),
                quarantine=held.get(workload.id),
                enforcement=proofs.get(workload.id),
            )
        )
    return sorted(
        lines, key=lambda line: (line.quarantine is None, -line.denied, -line.staged_denied, line.workload.name)
    )


def _words(workload: Workload) -> str:
    labels = " ".join(f"{key}={value}" for key, value in workload.labels.items())
    networks = " ".join(item.network for item in workload.attachments)
    addresses = " ".join(map(str, workload.addresses))
    return f"{workload.name} {workload.id} {workload.image or ''} {labels} {networks} {addresses}".lower()

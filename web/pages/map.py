"""Map: how is the estate connected? As a picture and as the table of the same edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from flask import Blueprint

from audit.report.completeness import unrecorded
from web.comparison import Comparison, Watched, compare
from web.download import Table, conditions_of, in_columns, offer
from web.edges import Edge, Edges, Port, bundle_of, edge_filter, edges_of, nodes_of
from web.flow_questions import gaps_in, query_of, ways_out
from web.guard import services
from web.problems import Refused
from web.render import page
from web.scope import Scope, scope, strict_scope
from web.sorting import Keys, in_order, read_order
from web.verdicts import Shown
from web.words import in_iso

blueprint = Blueprint("map", __name__)
GROUPS = {"network": "network", "project": "project", "host": "host", "none": "no groups"}
LABEL = "label."
MOST_ELEMENTS = 2_000
NARROW = 100
"""Edges of the table that stands for the picture on a narrow screen."""
GRAVITY = (Shown.UNKNOWN, Shown.ALLOWED, Shown.STAGED, Shown.DENIED, Shown.QUARANTINED)
SORTED: Keys[Edge] = {
    "verdict": lambda edge: GRAVITY.index(edge.shown),
    "from": lambda edge: edge.src_name,
    "to": lambda edge: edge.dst_name,
    "flows": lambda edge: edge.flows,
    "denied": lambda edge: edge.denied,
    "would": lambda edge: edge.staged_denied,
    "bytes": lambda edge: edge.bytes,
    "last": lambda edge: edge.last_seen,
}


@blueprint.get("/map")
def show() -> tuple[str, int]:
    found = scope()
    given = services()
    workloads = given.state.workloads.current()
    group_by = found.address.one("group") or "network"
    labels = sorted({key for workload in workloads for key in workload.labels})
    wrong = group_by not in GROUPS and not (group_by.startswith(LABEL) and group_by != LABEL)
    context: dict[str, Any] = {
        "groups": GROUPS,
        "labels": labels,
        "group_by": group_by,
        "group_wrong": wrong,
        "as_table": found.address.one("view") == "table",
    }
    if wrong or not found.answerable:
        return page("pages/map.html", answered=False, **context), 400
    order = read_order(found.address.one("sort"), SORTED)
    answer = _answer(found)
    comparison = answer if isinstance(answer, Comparison) else None
    edges = answer.edges
    nodes = nodes_of(edges, workloads, group_by, quarantined_ids())
    selected = next((edge for edge in edges if edge.id == found.address.one("edge")), None)
    bundle = bundle_of(edges, nodes, found.address.one("edge"))
    return page(
        "pages/map.html",
        answered=True,
        edges=in_order(edges, order, SORTED),
        order=order,
        complete=answer.complete,
        comparison=comparison,
        nodes=nodes,
        map_nodes=[asdict(node) for node in nodes],
        map_edges=[map_edge(item) for item in edges],
        edge_filter=edge_filter(selected) if selected else "",
        narrow=NARROW,
        too_many=len(nodes) + len(edges) > MOST_ELEMENTS,
        gaps=gaps_in(given.flows, found.window),
        ways=() if edges else ways_out(given.flows, found.window, found.bar),
        selected=selected,
        bundle=bundle,
        **context,
    ), 200


COLUMNS: Keys[Edge] = {
    "verdict": lambda edge: edge.shown,
    "change": lambda edge: edge.change,
    "src_workload": lambda edge: edge.src or None,
    "src_name": lambda edge: edge.src_name,
    "dst_workload": lambda edge: edge.dst or None,
    "dst_name": lambda edge: edge.dst_name,
    "services": lambda edge: [_service(port) for port in edge.ports],
    "flows": lambda edge: edge.flows,
    "denied": lambda edge: edge.denied,
    "staged_denied": lambda edge: edge.staged_denied,
    "bytes": lambda edge: edge.bytes,
    "last_seen": lambda edge: edge.last_seen,
}


def table() -> Table:
    """Every edge of the picture and of its table; `change` only where two windows are compared."""
    found = strict_scope()
    given = services()
    order = read_order(found.address.one("sort"), SORTED)
    answer = _answer(found)
    if isinstance(answer, Comparison):
        gaps, notes = answer.gaps, [*answer.unrecorded, *_doubts(answer)]
    else:
        gaps = gaps_in(given.flows, found.window)
        notes = unrecorded(given.state, found.window.start, found.window.end)
    if not answer.complete:
        notes.append("there are more kinds of connections than can be grouped at once: counts are too low")
    columns = {name: value for name, value in COLUMNS.items() if name != "change" or isinstance(answer, Comparison)}
    return Table(
        what="edges",
        columns=tuple(columns),
        rows=in_columns(in_order(answer.edges, order, SORTED), columns),
        count=len(answer.edges),
        window=found.window,
        conditions=conditions_of(found, "compare"),
        gaps=gaps,
        notes=notes,
    )


offer(blueprint, "/map", table)


def _answer(found: Scope) -> Edges | Comparison:
    """The edges of the window, compared with the one before when the address says so."""
    given = services()
    if found.address.one("compare") == "1":
        return compare(given.state, given.flows, found.window, found.window.before, found.bar)
    return edges_of(given.flows, query_of(found.window, found.bar))


def _doubts(comparison: Comparison) -> Iterator[str]:
    before = f"between {in_iso(comparison.before.start)} and {in_iso(comparison.before.end)}"
    if comparison.watched is Watched.NO:
        yield f"nothing is called new or gone: nothing is on record {before}"
    elif not comparison.sure:
        yield f"compared with the time {before}: what is called new or gone may only have been missed"


def _service(port: Port) -> str:
    return port.transport if port.port is None else f"{port.transport}/{port.port}"


@blueprint.get("/map/edge")
def edge() -> str:
    """The panel of one edge, or of all that are drawn as one between two groups."""
    found = strict_scope()
    wanted = found.address.one("edge")
    edges = _answer(found).edges
    selected = next((item for item in edges if item.id == wanted), None)
    if selected is not None:
        return page("fragments/edge_panel.html", selected=selected, edge_filter=edge_filter(selected))
    workloads = services().state.workloads.current()
    nodes = nodes_of(edges, workloads, found.address.one("group") or "network", frozenset())
    bundle = bundle_of(edges, nodes, wanted)
    if bundle is None:
        raise Refused(404, "There is no such edge in this time range.")
    return page("fragments/bundle_panel.html", bundle=bundle)


def quarantined_ids() -> frozenset[str]:
    return frozenset(item.workload for item in services().state.quarantines.active())


def map_edge(item: Edge) -> dict[str, Any]:
    """What the picture needs of an edge."""
    source, target = item.key
    return {
        "id": item.id,
        "source": source,
        "target": target,
        "shown": item.shown.value,
        "flows": item.flows,
        "denied": item.denied,
        "bytes": item.bytes,
        "change": item.change,
    }

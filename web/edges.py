"""Who is connected with whom: edges between workloads, what is new or gone, and the groups they stand in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ringfence.model.workload import Workload
from ringfence.store.flows import FlowQuery, FlowReader
from web.tokens import joined, term
from web.verdicts import Shown, of_counts

BY = (
    "src_workload",
    "src_name",
    "src_kind",
    "dst_workload",
    "dst_name",
    "dst_kind",
    "transport",
    "dst_port",
    "network",
)
LIMIT = 10_000
OUTSIDE = "addresses without a workload"
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """What one edge carries on one destination port; `port` None where the protocol has none."""

    transport: str
    port: int | None
    flows: int
    denied: int
    staged_denied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """All connections that one workload opened to another. Ids are empty for addresses without a workload."""

    src: str
    src_name: str
    dst: str
    dst_name: str
    flows: int
    denied: int
    staged_denied: int
    packets: int
    bytes: int
    first_seen: datetime
    last_seen: datetime
    ports: tuple[Port, ...]
    change: str = ""

    @property
    def key(self) -> Key:
        return (self.src or self.src_name, self.dst or self.dst_name)

    @property
    def id(self) -> str:
        return f"{self.key[0]}>{self.key[1]}"

    @property
    def shown(self) -> Shown:
        return of_counts(self.flows, self.denied, self.staged_denied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """`complete` False: the store had more groups than were asked for, so counts are too low."""

    edges: tuple[Edge, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A workload on the map; `group` is the compound node it stands in, empty for none."""

    id: str
    name: str
    kind: str
    group: str
    quarantined: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """All edges from one group of the map to another, most denied first, then most bytes."""

    src: str
    dst: str
    edges: tuple[Edge, ...]

    @property
    def shown(self) -> Shown:
        denied, staged = (sum(getattr(edge, name) for edge in self.edges) for name in ("denied", "staged_denied"))
        return of_counts(sum(edge.flows for edge in self.edges), denied, staged)


def edges_of(flows: FlowReader, query: FlowQuery) -> Edges:
    """Edges, most denied first, then most flows."""
    table = flows.summarize(query, BY, limit=LIMIT)
    groups: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for row in table.to_pylist():
        src = row["src_workload"] or row["src_name"] or OUTSIDE
        dst = row["dst_workload"] or row["dst_name"] or OUTSIDE
        groups[(src, dst)].append(row)
    found = sorted((_edge(rows) for rows in groups.values()), key=lambda edge: (-edge.denied, -edge.flows, edge.id))
    return Edges(edges=tuple(found), complete=table.num_rows < LIMIT)


def _edge(rows: list[dict[str, Any]]) -> Edge:
    first = rows[0]
    return Edge(
        src=first["src_workload"] or "",
        src_name=first["src_name"] or OUTSIDE,
        dst=first["dst_workload"] or "",
        dst_name=first["dst_name"] or OUTSIDE,
        flows=sum(row["flows"] for row in rows),
        denied=sum(row["denied"] for row in rows),
        staged_denied=sum(row["staged_denied"] for row in rows),
        packets=sum(row["packets"] or 0 for row in rows),
        bytes=sum(row["bytes"] or 0 for row in rows),
        first_seen=min(row["first_seen"] for row in rows),
        last_seen=max(row["last_seen"] for row in rows),
        ports=_ports(rows),
    )


def _ports(rows: Iterable[Mapping[str, Any]]) -> tuple[Port, ...]:
    """Rows of the same port on several networks are one port."""
    groups: dict[tuple[str, int | None], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        port = row["dst_port"] if row["transport"] in ("tcp", "udp", "sctp", "udplite") else None
        groups[(row["transport"] or "", port)].append(row)
    ports = [
        Port(
            transport=transport,
            port=port,
            flows=sum(row["flows"] for row in same),
            denied=sum(row["denied"] for row in same),
            staged_denied=sum(row["staged_denied"] for row in same),
        )
        for (transport, port), same in groups.items()
    ]
    return tuple(sorted(ports, key=lambda item: (-item.flows, item.transport, item.port or 0)))


def compared(now: Edges, before: Edges) -> tuple[Edge, ...]:
    """Edges of both windows with their change: `new`, `gone`, `more denied`, or nothing."""
    former = {edge.key: edge for edge in before.edges}
    current = {edge.key for edge in now.edges}
    rows = [_changed(edge, _change(edge, former.get(edge.key))) for edge in now.edges]
    rows += [_changed(edge, "gone") for edge in before.edges if edge.key not in current]
    return tuple(rows)


def _change(edge: Edge, former: Edge | None) -> str:
    if former is None:
        return "new"
    return "more denied" if edge.denied > former.denied else ""


def _changed(edge: Edge, change: str) -> Edge:
    fields = {name: getattr(edge, name) for name in Edge.__slots__}
    return Edge(**(fields | {"change": change}))


def edge_filter(edge: Edge) -> str:
    """The filter that finds the flows of an edge."""
    ends = ((f"{side}_workload", f"{side}_name", *end) for side, end in zip(("src", "dst"), _ends(edge), strict=True))
    return joined(
        term(by_id, key) if key else f"not {by_id}: *" if name == OUTSIDE else term(by_name, name)
        for by_id, by_name, key, name in ends
    )


def _ends(edge: Edge) -> tuple[tuple[str, str], tuple[str, str]]:
    return (edge.src, edge.src_name), (edge.dst, edge.dst_name)


def nodes_of(
    edges: Iterable[Edge], workloads: Iterable[Workload], group_by: str, quarantined: frozenset[str]
) -> tuple[Node, ...]:
    """Every end of an edge, and every running workload without one."""
    known = {workload.id: workload for workload in workloads}
    ends: dict[str, str] = {}
    for edge in edges:
        ends[edge.key[0]] = edge.src_name
        ends[edge.key[1]] = edge.dst_name
    ends |= {workload.id: workload.name for workload in known.values() if workload.running}
    return tuple(
        Node(
            id=node,
            name=name,
            kind=known[node].kind.value if node in known else "outside",
            group=group_of(known[node], group_by) if node in known else "",
            quarantined=node in quarantined,
        )
        for node, name in sorted(ends.items(), key=lambda item: item[1])
    )


def bundle_of(edges: Iterable[Edge], nodes: Iterable[Node], wanted: str) -> Bundle | None:
    """What the map draws as one line, by its id `group:A>group:B`; a node without a group is a group by its name."""
    if not wanted.startswith("group:"):
        return None
    home = {node.id: node.group or node.name for node in nodes}
    found = [edge for edge in edges if f"group:{home[edge.key[0]]}>group:{home[edge.key[1]]}" == wanted]
    if not found:
        return None
    src, dst = (home[end] for end in found[0].key)
    return Bundle(src=src, dst=dst, edges=tuple(sorted(found, key=lambda edge: (-edge.denied, -edge.bytes, edge.id))))


def group_of(workload: Workload, by: str) -> str:
    """The compound a workload stands in: its first network, its project, its host or the value of a label."""
    if by == "network":
        names = sorted(item.network for item in workload.attachments if item.until is None)
        return " + ".join(names)
    if by == "project":
        return workload.project or ""
    if by == "host":
        return workload.host
    return workload.labels.get(by.removeprefix("label."), "") if by.startswith("label.") else ""

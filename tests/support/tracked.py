"""Made-up conntrack and denied records of a small world of namespaces, for tests of what is done with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from collector.aggregate import Aggregator
from collector.attribution import Attribution
from collector.columns import CONNTRACK, DENIED, NO_TCP_STATE, MessageKind
from collector.inventory import Inventory, Listing
from ringfence.model.verdict import Direction, RuleRef
from ringfence.model.workload import Attachment, NetworkKind, Workload, WorkloadKind

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
START_NS = int(START.timestamp()) * 1_000_000_000
SECOND = 1_000_000_000
MASK = 0x00FFFF00

NEW, DESTROY, DUMP = MessageKind.NEW, MessageKind.DESTROY, MessageKind.DUMP
WEB, API, DB, HOST = 1001, 1002, 1003, 1000
"""Namespaces of the standard world; the host has the bridge's address and its own."""
FAR_API, FAR_HOST = 2002, 2000
"""A second engine with the same addresses."""


def rule(number: int) -> RuleRef | None:
    """Rules 20.. are ingress, 30.. egress rules of policy `p`."""
    if number < 20:
        return None
    direction = Direction.INGRESS if number < 30 else Direction.EGRESS
    return RuleRef(tier="app", policy="p", direction=direction, index=number % 10)


def workload(
    name: str,
    netns: int | None,
    *addresses: str,
    kind: WorkloadKind = WorkloadKind.CONTAINER,
    host: str = "h1",
    network: str = "shop",
    network_kind: NetworkKind = NetworkKind.BRIDGE,
    started: datetime = START - timedelta(minutes=5),
    ended: datetime | None = None,
    labels: Mapping[str, str] | None = None,
) -> Workload:
    part = Attachment(
        network=network,
        kind=network_kind,
        addresses=tuple(map(ip_address, addresses)),
        since=started,
        until=ended,
    )
    return Workload(
        id=f"{host}-{name}",
        name=name,
        kind=kind,
        host=host,
        labels=labels or {"role": name},
        netns=netns,
        attachments=(part,),
        started=started,
        ended=ended,
    )


def standard_world() -> tuple[Workload, ...]:
    return (
        workload("web", WEB, "10.1.0.2", "fd00::2"),
        workload("api", API, "10.1.0.3", "fd00::3"),
        workload("db", DB, "10.1.0.4", "fd00::4"),
        host_workload("h1", HOST, "10.1.0.1", "192.0.2.1"),
    )


def host_workload(name: str, netns: int, *addresses: str) -> Workload:
    return workload(
        name, netns, *addresses, kind=WorkloadKind.HOST, host=name, network="host", network_kind=NetworkKind.HOST
    )


def inventory_of(*workloads: Workload) -> Inventory:
    inventory = Inventory(clock=lambda: START)
    inventory.replace("test", Listing(workloads=workloads), START)
    return inventory


def addresses(text: str) -> NDArray[np.uint8]:
    packed = ip_address(text).packed
    return np.frombuffer(packed.ljust(16, b"\0"), np.uint8)


def leg(
    netns: int,
    tuple_: str,
    out: str = "",
    *,
    id_: int = 1,
    kind: MessageKind = NEW,
    at: float = 0.0,
    protocol: int = 6,
    start: float | None = None,
    counters: tuple[int, int, int, int] | None = None,
    rule_number: int = 0,
    **columns: Any,
) -> NDArray[Any]:
    """One record. Tuples read `10.0.0.1:1000>10.0.0.2:80`; `out` is the tuple after translation.

    `at` and `start` are seconds after START; `nsid` is the namespace's number itself.
    """
    record = np.zeros(1, CONNTRACK)
    (src, sport), (dst, dport) = map(split, tuple_.split(">"))
    (new_src, new_sport), (new_dst, new_dport) = map(split, (out or tuple_).split(">"))
    record["family"] = 2 if ip_address(src).version == 4 else 10
    record["src"], record["dst"], record["src_port"], record["dst_port"] = addresses(src), addresses(dst), sport, dport
    record["reply_src"], record["reply_dst"] = addresses(new_dst), addresses(new_src)
    record["reply_src_port"], record["reply_dst_port"] = new_dport, new_sport
    record["kind"], record["nsid"], record["protocol"], record["id"] = kind, netns, protocol, id_
    record["tcp_state"] = NO_TCP_STATE
    record["mark"] = rule_number << 8
    record["received_ns"] = START_NS + int(at * SECOND)
    if start is not None:
        record["start_ns"] = START_NS + int(start * SECOND)
    if counters is not None:
        record["counted"] = True
        for name, value in zip(("packets", "bytes", "reply_packets", "reply_bytes"), counters, strict=True):
            record[name] = value
    for name, value in columns.items():
        record[name] = value
    return record


def refused(
    netns: int,
    tuple_: str,
    *,
    rule_number: int,
    ingress: bool,
    at: float = 0.0,
    size: int = 60,
    protocol: int = 6,
    **columns: Any,
) -> NDArray[Any]:
    """One denied packet."""
    record = np.zeros(1, DENIED)
    (src, sport), (dst, dport) = map(split, tuple_.split(">"))
    record["netns"], record["ingress"], record["rule"], record["protocol"] = netns, ingress, rule_number, protocol
    record["family"] = 2 if ip_address(src).version == 4 else 10
    record["src"], record["dst"], record["src_port"], record["dst_port"] = addresses(src), addresses(dst), sport, dport
    record["bytes"], record["received_ns"] = size, START_NS + int(at * SECOND)
    for name, value in columns.items():
        record[name] = value
    return record


def split(end: str) -> tuple[str, int]:
    """`10.0.0.1:80` or `[fd00::1]:80`."""
    address, _, port = end.rpartition(":")
    return address.strip("[]"), int(port)


class World:
    """An aggregator over an inventory, fed tick by tick."""

    def __init__(self, *workloads: Workload, resume: pa.Table | None = None, **options: Any) -> None:
        self.inventory = inventory_of(*(workloads or standard_world()))
        self.attribution = Attribution(self.inventory.snapshot, options.pop("slots", dict))
        self.unknown: set[int] = options.pop("unknown", set())
        self.aggregator = Aggregator(
            host="kernel",
            boot_id="boot",
            attribution=self.attribution,
            inodes_of=self._inodes_of,
            mark_mask=MASK,
            rule_names=rule,
            resume=resume,
            **options,
        )
        self.rows: dict[str, dict[str, Any]] = {}
        """The latest row of every flow, as a store would hold it."""
        self.written = 0

    def _inodes_of(self, nsids: NDArray[Any]) -> NDArray[np.uint64]:
        return np.where(np.isin(nsids, list(self.unknown)), 0, nsids).astype(np.uint64)

    def tick(
        self, *records: NDArray[Any], at: float = 1.0, dumped: dict[int, float] | None = None, **options: Any
    ) -> list[dict[str, Any]]:
        """Feed records of either kind in this order; returns the rows that were written."""
        parts = {dtype: [item for item in records if item.dtype == dtype] for dtype in (CONNTRACK, DENIED)}
        merged = [np.concatenate([np.zeros(0, dtype), *items]) for dtype, items in parts.items()]
        reads = [(inode, START_NS + int(moment * SECOND)) for inode, moment in (dumped or {}).items()]
        table = self.aggregator.take(*merged, START_NS + int(at * SECOND), dumped=reads, **options)
        rows: list[dict[str, Any]] = table.to_pylist()
        for row in rows:
            former = self.rows.get(row["flow_id"])
            assert former is None or former["end_reason"] is None, "a final row was written again"
            self.rows[row["flow_id"]] = row
        self.written += len(rows)
        return rows

    def table(self) -> pa.Table:
        from ringfence.model.flow import FLOW_SCHEMA

        return pa.Table.from_pylist(list(self.rows.values()), schema=FLOW_SCHEMA)

"""Flow table: flows and their legs as a table of `FLOW_SCHEMA`, column by column."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from enum import IntEnum
from ipaddress import ip_address
from socket import AF_INET
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from collector.attribution import Attribution
from collector.columns import NO_TCP_STATE
from collector.community_id import community_id
from collector.legs import Legs, Role, Rows, gather
from collector.linking import Flows
from collector.resume import Resume
from collector.verdicts import Verdicts
from collector.wire import hash_words, records_of
from ringfence.model.flow import FLOW_SCHEMA, PROTOCOL_NAMES
from ringfence.model.ruleset import WORKLOAD_SLOT_MASK
from ringfence.model.verdict import RuleRef

TCP_STATES = (
    *("none", "syn_sent", "syn_recv", "established", "fin_wait", "close_wait"),
    *("last_ack", "time_wait", "close", "syn_sent2"),
)
"""Names of the kernel's TCP_CONNTRACK_* numbers."""
_PORTS = np.isin(np.arange(256), (6, 17, 33, 132, 136))
_ICMP = np.isin(np.arange(256), (1, 58))
_SLOT_SHIFT = (WORKLOAD_SLOT_MASK & -WORKLOAD_SLOT_MASK).bit_length() - 1

Column = NDArray[Any]


class Reason(IntEnum):
    """Why a flow ended; the names stand in `end_reason`."""

    OPEN = 0
    CLOSED = 1
    DENIED = 2
    LOST = 3


_REASONS = (None, "closed", "denied", "lost")


class RowBuilder:
    """Writes rows; gives each flow its id when it is first written."""

    def __init__(
        self,
        *,
        host: str,
        boot_id: str,
        attribution: Attribution,
        mark_mask: int,
        rule_names: Callable[[int], RuleRef | None],
        resume: Resume,
    ) -> None:
        self._host, self._boot, self._attribution, self._resume = host, boot_id.encode(), attribution, resume
        self._verdicts = Verdicts(mark_mask=mark_mask, rule_names=rule_names)

    def build(self, flows: Flows, legs: Legs, rows: Rows) -> pa.Table:
        """The table for these flows (row numbers, n)."""
        if not len(rows):
            return FLOW_SCHEMA.empty_table()
        fresh = rows[~flows.rows["emitted"][rows]]
        if len(fresh):
            self._name(flows, legs, fresh)
        columns = self._columns(gather(flows.rows, rows), legs.rows)
        table = pa.table([_array(columns.get(item.name), item, len(rows)) for item in FLOW_SCHEMA], schema=FLOW_SCHEMA)
        return self._resumed(flows, rows, table) if self._resume.busy else table

    def _name(self, flows: Flows, legs: Legs, fresh: Rows) -> None:
        """Id, community id and start of flows that are written for the first time: some 4 us each."""
        table = flows.rows
        first = gather(legs.rows, heads(gather(table, fresh)))
        table["start"][fresh] = first["start"]
        wires = np.ascontiguousarray(first["wire_in"])
        wire = records_of(wires)
        width = np.where(wire["family"] == AF_INET, 4, 16).tolist()
        stamps = np.stack([first["netns"].astype(np.int64), first["id"].astype(np.int64), first["start"]], axis=1)
        ids, communities = [], []
        numbers = [wire[name].tolist() for name in ("protocol", "src_port", "dst_port", "icmp_type", "icmp_code")]
        for place, (size, protocol, sport, dport, kind, code) in enumerate(zip(width, *numbers, strict=True)):
            raw = wires[place].tobytes()
            digest = hashlib.blake2b(self._boot + raw + stamps[place].tobytes(), digest_size=16)
            ids.append(digest.hexdigest())
            communities.append(
                community_id(raw[:size], raw[16 : 16 + size], protocol, sport, dport, icmp_type=kind, icmp_code=code)
            )
        table["id"][fresh], table["community"][fresh] = ids, communities

    def _columns(self, flow: Column, legs: Column) -> dict[str, Any]:
        head, tail = gather(legs, heads(flow)), gather(legs, tails(flow, legs))
        first = records_of(np.ascontiguousarray(head["wire_in"]))
        final = records_of(np.ascontiguousarray(tail["wire_out"]))
        counts = gather(legs, _counting(flow))
        last = np.maximum(counts["last"], np.where(flow["denied"] >= 0, legs["last"][flow["denied"]], 0))
        ended = np.where(flow["final"], flow["ended"], counts["closed"])
        ended = np.where(ended > 0, np.maximum(ended, flow["start"]), 0)
        last = np.where(ended > 0, ended, np.maximum(last, flow["start"]))
        protocol = first["protocol"]
        icmp = ~_ICMP[protocol]
        state = np.minimum(counts["tcp_state"], len(TCP_STATES))
        known_state = (counts["tcp_state"] != NO_TCP_STATE) & (protocol == 6) & (state < len(TCP_STATES))
        return {
            "flow_id": _text(flow["id"]),
            "host": self._host,
            "reporter": _pick(_REPORTERS, _reporter(flow, legs)),
            "origin": _pick(("conntrack", "nflog"), (primary_legs(flow) < 0).astype(np.int64)),
            "started": _time(flow["start"]),
            "last_seen": _time(last),
            "ended": _time(ended, ended == 0),
            "end_reason": _pick(_REASONS, np.where(flow["final"], flow["reason"], 0)),
            "protocol": protocol,
            "transport": _pick(_TRANSPORTS, protocol),
            "ip_version": np.where(first["family"] == AF_INET, 4, 6).astype(np.uint8),
            **_addresses(first, final),
            **self._ends(flow, legs, first, final),
            **_counters(flow, legs, counts),
            "icmp_type": pa.array(first["icmp_type"], mask=icmp),
            "icmp_code": pa.array(first["icmp_code"], mask=icmp),
            "tcp_state": _pick((*TCP_STATES, None), np.where(known_state, state, len(TCP_STATES))),
            "community_id": _text(flow["community"]),
            **self._verdicts.columns(flow, legs),
        }

    def _ends(self, flow: Column, legs: Column, first: Column, final: Column) -> dict[str, Any]:
        packet = np.where(flow["denied"] >= 0, legs["role"][flow["denied"]], 255)
        numbers = {}
        for side, role, address, host in (
            ("src", Role.SRC, first["src"], legs["host"][heads(flow)]),
            ("dst", Role.DST, final["dst"], legs["host"][tails(flow, legs)]),
        ):
            leg = np.where(flow[side] >= 0, flow[side], np.where(packet == role, flow["denied"], -1))
            there = leg >= 0
            words = np.ascontiguousarray(address).view(np.uint64).reshape(-1, 2)
            moved = (final["dst"] != first["dst"]).any(axis=1) if side == "dst" else np.zeros(len(flow), bool)
            marked = np.where(there, legs["mark"][leg].astype(np.int64) >> _SLOT_SHIFT, 0)
            logged = np.where(packet == role, legs["slot"][flow["denied"]], 0)
            numbers[side] = self._attribution.resolve(
                inodes=np.where(there, legs["netns"][leg], 0),
                slots=np.where(logged > 0, logged, marked),
                hosts=host,
                nat=moved,
                family=first["family"],
                words=words,
                # A server may have begun after the first try to reach it, and in place of a former one.
                starts=np.where(there, legs["start"][leg], flow["start"]),
            )
        columns: dict[str, Any] = {}
        for side, found in numbers.items():
            unique, back = np.unique(found, return_inverse=True)
            ends = [self._attribution.endpoints[number] for number in unique]
            for name in ("workload", "name", "kind", "labels", "method"):
                type_ = FLOW_SCHEMA.field(f"{side}_{name}").type
                values = [getattr(end, name) for end in ends]
                columns[f"{side}_{name}"] = pa.array(values, type_).take(pa.array(back))
        columns["network"] = self._shared_network(numbers["src"], numbers["dst"])
        return columns

    def _shared_network(self, src: Column, dst: Column) -> Any:
        pairs, back = np.unique(np.stack([src, dst], axis=1), axis=0, return_inverse=True)
        ends = self._attribution.endpoints
        names = [ends[a].network if ends[a].network == ends[b].network else None for a, b in pairs.tolist()]
        return _pick(names, back.reshape(-1))

    def _resumed(self, flows: Flows, rows: Rows, table: pa.Table) -> pa.Table:
        """Give rows of a former run back their ids, row by row; all others, however many, stay columns."""
        concerned = self._resume.concerned(rows, ~flows.rows["emitted"][rows])
        if not concerned.any():
            return table
        result = []
        for number, row in zip(rows[concerned].tolist(), table.filter(pa.array(concerned)).to_pylist(), strict=True):
            if not flows.rows["emitted"][number]:
                former = self._resume.match(number, row)
                if former is not None:
                    flows.rows["id"][number] = former["flow_id"].encode()
                    flows.rows["start"][number] = int(former["started"].timestamp() * 1_000_000) * 1000
                    row["flow_id"], row["started"] = former["flow_id"], former["started"]
            self._resume.carry(number, row)
            result.append(row)
        others = table.filter(pa.array(~concerned))
        place = np.argsort(np.r_[np.flatnonzero(~concerned), np.flatnonzero(concerned)])
        return pa.concat_tables([others, pa.Table.from_pylist(result, schema=FLOW_SCHEMA)]).take(pa.array(place))


def primary_legs(flow: Column) -> Rows:
    """The leg whose figures count for `FLOW` records (n,); -1: nothing tracked it."""
    return np.where(flow["src"] >= 0, flow["src"], np.where(flow["dst"] >= 0, flow["dst"], flow["host"]))


def heads(flow: Column) -> Rows:
    """The leg nearest to the client: its incoming tuple is what the client asked for."""
    head = np.where(flow["host"] >= 0, flow["host"], np.where(flow["dst"] >= 0, flow["dst"], flow["denied"]))
    return np.where(flow["src"] >= 0, flow["src"], head)


def tails(flow: Column, legs: Column) -> Rows:
    """The leg nearest to the server: its outgoing tuple is what the server saw."""
    tail = np.where(flow["tail"] >= 0, flow["tail"], np.where(flow["src"] >= 0, flow["src"], flow["denied"]))
    at_end = (flow["denied"] >= 0) & (legs["role"][flow["denied"]] == Role.DST)
    return np.where(flow["dst"] >= 0, flow["dst"], np.where(at_end, flow["denied"], tail))


_REPORTERS = tuple("+".join(name for bit, name in enumerate(("src", "dst", "host")) if n >> bit & 1) for n in range(8))
_TRANSPORTS = tuple(PROTOCOL_NAMES.get(number, str(number)) for number in range(256))


def _reporter(flow: Column, legs: Column) -> Column:
    packet = np.where(flow["denied"] >= 0, legs["role"][flow["denied"]], 255)
    bits = np.zeros(len(flow), np.int64)
    for role, name in ((Role.SRC, "src"), (Role.DST, "dst"), (Role.HOST, "host")):
        bits |= ((flow[name] >= 0) | (packet == role)).astype(np.int64) << int(role)
    return bits


def _counting(flow: Column) -> Rows:
    primary = primary_legs(flow)
    return np.where(primary >= 0, primary, flow["denied"])


def _counters(flow: Column, legs: Column, counts: Column) -> dict[str, Any]:
    tracked = primary_legs(flow) >= 0
    known = counts["counted"]
    # Tracked without accounting, but denied: at least the denied packets were seen.
    denials = gather(legs, flow["denied"])
    instead = ~known & (flow["denied"] >= 0)
    columns = {}
    for name in ("packets", "bytes"):
        columns[f"src_{name}"] = pa.array(np.where(instead, denials[name], counts[name]), mask=~(known | instead))
        columns[f"dst_{name}"] = pa.array(counts[f"reply_{name}"], mask=~(known & tracked))
    return columns


def _addresses(first: Column, final: Column) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    ports = ~_PORTS[first["protocol"]]
    for side in ("src", "dst"):
        moved = (first[side] != final[side]).any(axis=1)
        port_moved = first[f"{side}_port"] != final[f"{side}_port"]
        columns[f"{side}_ip"] = _ip_text(first["family"], first[side])
        columns[f"{side}_port"] = pa.array(first[f"{side}_port"], mask=ports)
        nat = moved | port_moved
        texts = _ip_text(first["family"], final[side])
        columns[f"nat_{side}_ip"] = pc.if_else(pa.array(nat), texts, pa.scalar(None, pa.string()))
        columns[f"nat_{side}_port"] = pa.array(final[f"{side}_port"], mask=~nat | ports)
    return columns


def _ip_text(family: Column, addresses: Column) -> Any:
    words = np.ascontiguousarray(addresses).view(np.uint64).reshape(-1, 2)
    _, first, back = np.unique(hash_words(words, family), return_index=True, return_inverse=True)
    texts = [str(ip_address(addresses[row].tobytes()[: 4 if family[row] == AF_INET else 16])) for row in first.tolist()]
    return _pick(texts, back)


def _pick(values: Sequence[str | None], places: Column) -> Any:
    return pa.array(values, pa.string()).take(pa.array(places.astype(np.int64)))


def _text(column: Column) -> Any:
    return pa.array(column.astype(str), pa.string())


def _time(nanoseconds: Column, mask: Column | None = None) -> Any:
    return pa.array(nanoseconds // 1000, pa.timestamp("us", tz="UTC"), mask=mask)


def _array(values: Any, item: pa.Field, count: int) -> Any:
    if values is None:
        return pa.nulls(count, item.type)
    if isinstance(values, str):
        return pa.repeat(pa.scalar(values), count)
    return values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, item.type)

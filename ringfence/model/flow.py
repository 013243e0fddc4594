"""The flow schema, declared once: Arrow, DuckDB, Elasticsearch, the API, the filter fields and the docs follow it.

A flow is one connection as one kernel saw it. The legs that were seen in the source's namespace, in the destination's
and in the host's are merged before storage (`reporter` names them), so counting rows counts connections.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import pyarrow as pa

from ringfence.model.gap import Gap


class ColumnType(StrEnum):
    KEYWORD = "keyword"
    TEXT = "text"
    LABELS = "labels"
    ADDRESS = "ip"
    PORT = "port"
    SMALL = "small"
    LONG = "long"
    TIME = "time"


IMPORTED = "imported"
"""`end_reason` of flows from a capture file. Somebody fetched them, however old: age is no reason to delete them."""

ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    ColumnType.KEYWORD: pa.string(),
    ColumnType.TEXT: pa.string(),
    ColumnType.LABELS: pa.list_(pa.string()),
    ColumnType.ADDRESS: pa.string(),
    ColumnType.PORT: pa.uint16(),
    ColumnType.SMALL: pa.uint8(),
    ColumnType.LONG: pa.int64(),
    ColumnType.TIME: pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: `name` in code and tables, `ecs` at the borders, `aliases` for people."""

    name: str
    ecs: str
    type: ColumnType
    doc: str
    nullable: bool = True
    aliases: tuple[str, ...] = ()


_K, _T, _L, _A = ColumnType.KEYWORD, ColumnType.TEXT, ColumnType.LABELS, ColumnType.ADDRESS
_P, _S, _N, _D = ColumnType.PORT, ColumnType.SMALL, ColumnType.LONG, ColumnType.TIME


def _column(name: str, ecs: str, type_: ColumnType, doc: str, *aliases: str, required: bool = False) -> Column:
    return Column(name=name, ecs=ecs, type=type_, doc=doc, nullable=not required, aliases=aliases)


def _endpoint(side: str, word: str) -> tuple[Column, ...]:
    """The columns that both ends have; `side` is src or dst, `word` is source or destination."""
    return (
        _column(
            f"{side}_ip", f"{word}.ip", _A, f"Address of the {word} as the client asked for it.", side, required=True
        ),
        _column(
            f"{side}_port",
            f"{word}.port",
            _P,
            f"Port of the {word}; null where the protocol has none.",
            {"src": "sport", "dst": "dport"}[side],
        ),
        _column(f"nat_{side}_ip", f"{word}.nat.ip", _A, f"The {word} after address translation; null without NAT."),
        _column(f"nat_{side}_port", f"{word}.nat.port", _P, f"Port of the {word} after translation."),
        _column(f"{side}_workload", f"{word}.workload.id", _K, f"Id of the workload at the {word}."),
        _column(f"{side}_name", f"{word}.workload.name", _K, f"Name of the workload at the {word}.", f"{side}.name"),
        _column(f"{side}_kind", f"{word}.workload.kind", _K, "container, host, pod, vm, external; null if unknown."),
        _column(f"{side}_labels", f"{word}.workload.labels", _L, "Its labels at that time as `key=value`."),
        _column(f"{side}_identity", f"{word}.identity", _N, "Interned label set."),
        _column(f"{side}_method", f"{word}.method", _K, "netns, interval, nat, static or unknown.", required=True),
        _column(f"{side}_packets", f"{word}.packets", _N, f"Packets sent by the {word}; null: not known, never 0."),
        _column(f"{side}_bytes", f"{word}.bytes", _N, f"Bytes sent by the {word} (IP length); null: not known."),
    )


COLUMNS: tuple[Column, ...] = (
    _column(
        "flow_id",
        "flow.id",
        _K,
        "Deterministic id: the same connection has the same id after a restart.",
        required=True,
    ),
    _column("host", "host.name", _K, "Host whose kernel saw it.", "host", required=True),
    _column(
        "reporter",
        "flow.reporter",
        _K,
        "Where it was seen: src, dst, host, joined by `+` in that order.",
        "reporter",
        required=True,
    ),
    _column("origin", "event.provider", _K, "conntrack, nflog or pcap.", required=True),
    _column("started", "event.start", _D, "First packet (kernel stamp where there is one).", required=True),
    _column(
        "last_seen", "@timestamp", _D, "Latest evidence of the connection; its end once it has ended.", required=True
    ),
    _column("ended", "event.end", _D, "Last packet; null while it is open."),
    _column("end_reason", "flow.end_reason", _K, "closed, denied, lost (ended unobserved), imported."),
    _column("protocol", "network.iana_number", _S, "IP protocol number.", required=True),
    _column(
        "transport",
        "network.transport",
        _K,
        "tcp, udp, icmp, ipv6-icmp, sctp or the number as text.",
        "proto",
        required=True,
    ),
    _column("ip_version", "network.ip_version", _S, "4 or 6.", required=True),
    *_endpoint("src", "source"),
    *_endpoint("dst", "destination"),
    _column("icmp_type", "icmp.type", _S, "ICMP type of the first packet."),
    _column("icmp_code", "icmp.code", _S, "ICMP code of the first packet."),
    _column("tcp_state", "network.tcp_state", _K, "Conntrack's TCP state when last seen."),
    _column(
        "handshake_us", "flow.handshake_us", _N, "SYN to the client's ACK in microseconds, where packets were seen."
    ),
    _column("vlan", "network.vlan.id", _P, "Outer VLAN id, in imported captures."),
    _column("network", "network.name", _K, "Container network both ends share.", "network"),
    _column("community_id", "network.community_id", _K, "Community ID v1, seed 0, over the original tuple."),
    _column("enforced", "verdict.enforced", _K, "allowed or denied: what the kernel did; null in imports.", "verdict"),
    _column("enforced_basis", "verdict.basis", _K, "explicit (a rule said so) or default (nothing matched)."),
    _column("rule", "rule.id", _K, "The deciding rule: tier/policy/direction/index.", "rule"),
    _column("sentence", "rule.description", _T, "Why, in words."),
    _column("egress_rule", "rule.egress", _K, "The rule that decided at the source."),
    _column("ingress_rule", "rule.ingress", _K, "The rule that decided at the destination."),
    _column(
        "staged", "verdict.staged", _K, "allowed or denied: what the policy would do if all were in protect.", "staged"
    ),
    _column("staged_rule", "staged.rule", _K, "The rule that would decide."),
    _column("staged_sentence", "staged.description", _T, "Why it would, in words."),
    _column("revision", "policy.revision", _N, "Revision of the policy it was judged by."),
)

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}
FLOW_SCHEMA: pa.Schema = pa.schema(
    [pa.field(column.name, ARROW_TYPES[column.type], nullable=column.nullable) for column in COLUMNS]
)


@cache
def field_names() -> dict[str, Column]:
    """Every name a filter may use, lower-case: ECS names, column names and aliases."""
    names = {column.name: column for column in COLUMNS}
    names |= {alias: column for column in COLUMNS for alias in column.aliases}
    return names | {column.ecs.lower(): column for column in COLUMNS}


PROTOCOL_NAMES: dict[int, str] = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp", 136: "udplite"}
PROTOCOL_NUMBERS: dict[str, int] = {name: number for number, name in PROTOCOL_NAMES.items()} | {"icmpv6": 58}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowBatch:
    """What travels from a host to the store: `id` makes sending twice store once.

    `flows` has `FLOW_SCHEMA`. A flow may come again in a later batch with later figures and replaces its former row,
    until a batch carries it with `end_reason` set: that row is final.
    """

    id: str
    host: str
    flows: pa.Table
    gaps: tuple[Gap, ...] = ()

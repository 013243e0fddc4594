"""Capture table: conversations of a capture as rows of `FLOW_SCHEMA`. All are final; nothing is known of verdicts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import numpy as np
import pyarrow as pa

from collector.community_id import community_id
from collector.conversations import Conversation, tcp_state, vlan_of
from collector.wire import WIRE
from ringfence.model.flow import FLOW_SCHEMA, IMPORTED, PROTOCOL_NAMES
from ringfence.model.workload import Method


def build_table(conversations: Sequence[Conversation], host: str) -> pa.Table:
    """One row per conversation, in the order of their first packets in the file."""
    wires = np.frombuffer(b"".join(item.wire for item in conversations), WIRE)
    wire = {name: wires[name].tolist() for name in WIRE.names or () if name not in ("src", "dst")}
    width = [4 if family == 2 else 16 for family in wire["family"]]
    raw = [(item.wire[:size], item.wire[16 : 16 + size]) for item, size in zip(conversations, width, strict=True)]
    protocols = wire["protocol"]
    icmp = [protocol in (1, 58) for protocol in protocols]
    ports = [item.has_ports for item in conversations]
    times = np.array([(item.started, item.ended) for item in conversations], np.int64).reshape(-1, 2)
    stamps = [pa.array(column // 1000, pa.timestamp("us", tz="UTC")) for column in times.T]
    columns: dict[str, Any] = {
        "flow_id": [_flow_id(host, item) for item in conversations],
        "started": stamps[0],
        "last_seen": stamps[1],
        "ended": stamps[1],
        "protocol": protocols,
        "transport": [PROTOCOL_NAMES.get(number, str(number)) for number in protocols],
        "ip_version": [4 if size == 4 else 6 for size in width],
        "icmp_type": _only(wire["icmp_type"], icmp),
        "icmp_code": _only(wire["icmp_code"], icmp),
        "tcp_state": [
            tcp_state(item) if number == 6 else None for item, number in zip(conversations, protocols, strict=True)
        ],
        "handshake_us": [item.handshake_us for item in conversations],
        "vlan": [vlan_of(item) for item in conversations],
        "community_id": [_community(item, size) for item, size in zip(wires, width, strict=True)],
    }
    for side, name in enumerate(("src", "dst")):
        columns[f"{name}_ip"] = [str(ip_address(ends[side])) for ends in raw]
        columns[f"{name}_port"] = _only(wire[f"{name}_port"], ports)
        columns[f"{name}_packets"] = [item.packets[side] for item in conversations]
        columns[f"{name}_bytes"] = [item.bytes[side] for item in conversations]
        columns[f"{name}_method"] = [Method.UNKNOWN.value] * len(conversations)
    same = {"host": host, "reporter": "host", "origin": "pcap", "end_reason": IMPORTED}
    columns |= {name: [value] * len(conversations) for name, value in same.items()}
    nothing = [None] * len(conversations)
    return pa.table([pa.array(columns.get(item.name, nothing), item.type) for item in FLOW_SCHEMA], schema=FLOW_SCHEMA)


def frame_bytes(conversations: Sequence[Conversation], table: pa.Table) -> pa.Table:
    """Bytes on the wire per flow, link layer included: flow_id, src_frame_bytes, dst_frame_bytes."""
    return pa.table(
        {
            "flow_id": table["flow_id"],
            "src_frame_bytes": pa.array([item.frames[0] for item in conversations], pa.int64()),
            "dst_frame_bytes": pa.array([item.frames[1] for item in conversations], pa.int64()),
        }
    )


def _flow_id(host: str, item: Conversation) -> str:
    """The same for the same packets under the same host name, however often they are imported."""
    name = b"pcap:" + host.encode() + item.wire + item.started.to_bytes(8, "big") + item.number.to_bytes(4, "big")
    return hashlib.blake2b(name, digest_size=16).hexdigest()


def _community(wire: Any, size: int) -> str:
    return community_id(
        wire["src"].tobytes()[:size],
        wire["dst"].tobytes()[:size],
        int(wire["protocol"]),
        int(wire["src_port"]),
        int(wire["dst_port"]),
        icmp_type=int(wire["icmp_type"]),
        icmp_code=int(wire["icmp_code"]),
    )


def _only(values: Sequence[int], wanted: Sequence[bool]) -> list[int | None]:
    return [value if keep else None for value, keep in zip(values, wanted, strict=True)]

"""Generated flows: random, repeatable tables of any size that look like the traffic of a real estate.

Columns are drawn with numpy, so a million rows take seconds. The same seed gives the same table.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from typing import Any

import numpy as np
import pyarrow as pa

from ringfence.model.flow import ARROW_TYPES, COLUMNS, FLOW_SCHEMA, PROTOCOL_NAMES, FlowBatch

START = datetime(2026, 1, 1, tzinfo=UTC)
ROLES = ("web", "api", "db", "cache", "queue", "batch", "proxy", "auth", "search", "mail")
PORTS = {"web": 80, "api": 8080, "db": 5432, "cache": 6379, "queue": 5672, "batch": 9000}
ENVIRONMENTS = ("prod", "staging", "dev")
NETWORKS = ("shop_front", "shop_back", "bridge", "mesh")


def workloads(count: int = 40) -> list[dict[str, Any]]:
    """Workloads as flows name them: id, name, kind, labels, both addresses and the identity of their labels."""
    found = []
    for index in range(count):
        role, env = ROLES[index % len(ROLES)], ENVIRONMENTS[index // len(ROLES) % len(ENVIRONMENTS)]
        found.append(
            {
                "id": uuid.UUID(int=index * 7919 + 1).hex * 2,
                "name": f"{env}-{role}-{index // len(ROLES)}",
                "kind": "host" if role == "proxy" else "container",
                "labels": [f"env={env}", f"role={role}", "com.docker.compose.project=shop"],
                "ipv4": f"172.{18 + index // 60_000}.{index // 250 % 250}.{index % 250 + 2}",
                "ipv6": str(IPv6Address((0xFD00 << 112) + index + 2)),
                "identity": index % (len(ROLES) * len(ENVIRONMENTS)) + 1,
            }
        )
    return found


OUTSIDE: dict[str, Any] = {"id": None, "name": None, "kind": None, "labels": None, "identity": None}


def flow_table(
    rows: int,
    *,
    seed: int = 0,
    start: datetime = START,
    span: timedelta = timedelta(hours=1),
    open_share: float = 0.1,
    estate: list[dict[str, Any]] | None = None,
    host: str | None = None,
) -> pa.Table:
    """`rows` flows of `FLOW_SCHEMA` that start within [start, start + span), in order of start.

    One in ten talks to the outside, one in eight is IPv6, some are denied, some would be; a few ends are unknown.
    """
    rng = np.random.default_rng(seed)
    estate = estate if estate is not None else workloads()
    # Popularity falls off as in real estates: a few pairs make most of the connections.
    weights = 1 / np.arange(1, len(estate) + 1)
    src = rng.choice(len(estate), rows, p=weights / weights.sum())
    dst = rng.choice(len(estate), rows, p=weights[::-1] / weights.sum())
    outside = rng.choice([0, 1, 2], rows, p=[0.9, 0.05, 0.05])
    v6 = rng.random(rows) < 0.125
    protocol = np.where(
        v6, rng.choice([6, 17, 58], rows, p=[0.8, 0.15, 0.05]), rng.choice([6, 17, 1], rows, p=[0.8, 0.15, 0.05])
    )
    portless = np.isin(protocol, (1, 58))
    opened = rng.random(rows) < open_share
    began = np.sort(rng.integers(0, max(1, int(span.total_seconds() * 1e6)), rows)) + int(start.timestamp() * 1e6)
    lasted = np.minimum(rng.exponential(2e6, rows).astype(np.int64), int(span.total_seconds() * 1e6))
    verdicts = _verdicts(rng, rows)
    columns: dict[str, Any] = {
        "flow_id": _ids(rng, rows),
        "host": pa.array(np.array(["h1", "h2", "h3"])[src % 3] if host is None else [host] * rows),
        "reporter": pa.array(np.array(["src+dst+host", "src", "host"])[rng.integers(0, 3, rows)]),
        "origin": pa.array(np.where(verdicts["denied"], "nflog", "conntrack")),
        "started": _times(began),
        "last_seen": _times(began + lasted),
        "ended": _times(began + lasted, opened),
        "end_reason": pa.array(
            np.where(verdicts["denied"], "denied", np.where(portless, "lost", "closed")), mask=opened
        ),
        "protocol": pa.array(protocol.astype(np.uint8)),
        "transport": pa.array([PROTOCOL_NAMES[number] for number in protocol.tolist()]),
        "ip_version": pa.array(np.where(v6, 6, 4).astype(np.uint8)),
        "icmp_type": pa.array(np.where(v6, 128, 8).astype(np.uint8), mask=~portless),
        "icmp_code": pa.array(np.zeros(rows, np.uint8), mask=~portless),
        "tcp_state": pa.array(np.where(opened, "established", "time_wait"), mask=protocol != 6),
        "handshake_us": pa.array(rng.integers(50, 5_000, rows), mask=protocol != 6),
        "network": pa.array(np.array(NETWORKS)[dst % len(NETWORKS)], mask=outside > 0),
        "community_id": _ids(rng, rows, "1:"),
        "revision": pa.array(rng.integers(1, 5, rows)),
        **verdicts["columns"],
    }
    shared: dict[str, Any] = {"v6": v6, "portless": portless, "estate": estate}
    columns |= _endpoint(rng, "src", src, outside=outside == 1, started=True, **shared)
    columns |= _endpoint(rng, "dst", dst, outside=outside == 2, started=False, **shared)
    translated = (rng.random(rows) < 0.1) & ~portless
    columns["nat_dst_ip"] = pa.array([f"10.9.{n % 200}.{n % 250}" for n in dst.tolist()], mask=~translated | v6)
    columns["nat_dst_port"] = pa.array((dst % 1000 + 30_000).astype(np.uint16), mask=~translated)
    filled = [
        columns[column.name] if column.name in columns else pa.nulls(rows, ARROW_TYPES[column.type])
        for column in COLUMNS
    ]
    return pa.table(
        [_flat(values).cast(item.type) for values, item in zip(filled, FLOW_SCHEMA, strict=True)], FLOW_SCHEMA
    )


def flow_batch(rows: int, *, id: str | None = None, host: str = "h1", **options: Any) -> FlowBatch:  # noqa: A002
    """A batch of generated flows of one host."""
    table = flow_table(rows, host=host, **options)
    return FlowBatch(id=id or f"batch-{host}-{options.get('seed', 0)}", host=host, flows=table)


def _flat(values: Any) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _times(micros: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    return pa.array(micros.astype("datetime64[us]"), pa.timestamp("us"), mask=missing).cast(
        pa.timestamp("us", tz="UTC")
    )


def _ids(rng: np.random.Generator, rows: int, prefix: str = "") -> pa.Array:
    text = rng.bytes(12 * rows).hex()
    return pa.array([prefix + text[24 * index : 24 * index + 24] for index in range(rows)])


def _verdicts(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Enforced and staged verdicts, with the rule and the sentence each carries."""
    kind = rng.choice(4, rows, p=[0.84, 0.06, 0.06, 0.04])  # allowed, denied, would be denied, nobody judged
    denied, staged, unknown = kind == 1, kind == 2, kind == 3
    rules = np.array(["application/db/ingress/default", "application/web/ingress/0", "application/api/egress/1"])
    rule = np.where(denied, rules[0], rules[1 + rng.integers(0, 2, rows)])
    would = denied | staged
    return {
        "denied": denied,
        "columns": {
            "enforced": pa.array(np.where(denied, "denied", "allowed"), mask=unknown),
            "enforced_basis": pa.array(np.where(denied, "default", "explicit"), mask=unknown),
            "rule": pa.array(rule, mask=unknown),
            "sentence": pa.array(
                np.where(denied, "no rule of application/db lets it in", "a rule lets it through"), mask=unknown
            ),
            "ingress_rule": pa.array(rule, mask=unknown),
            "staged": pa.array(np.where(would, "denied", "allowed"), mask=unknown),
            "staged_rule": pa.array(np.where(would, rules[0], rules[1]), mask=unknown),
            "staged_sentence": pa.array(np.where(would, "db would be closed", "it would be let through"), mask=unknown),
        },
    }


def _endpoint(
    rng: np.random.Generator,
    side: str,
    picked: np.ndarray,
    *,
    outside: np.ndarray,
    v6: np.ndarray,
    portless: np.ndarray,
    estate: list[dict[str, Any]],
    started: bool,
) -> dict[str, Any]:
    """One end's columns; `started` chooses an ephemeral port, else that of the service."""
    rows = len(picked)
    far4 = [f"203.0.113.{index}" for index in range(256)]
    far6 = [f"2001:db8::{index:x}" for index in range(256)]
    index = np.where(outside, len(estate) + v6 * 256 + rng.integers(0, 256, rows), picked + v6 * (len(estate) + 512))
    addresses = [item["ipv4"] for item in estate] + far4 + far6 + [item["ipv6"] for item in estate]
    people = [*estate, OUTSIDE]
    who = pa.array(np.where(outside, len(estate), picked))
    service = np.array([PORTS.get(item["name"].split("-")[1], 443) for item in estate])[picked]
    ports = rng.integers(32_768, 61_000, rows) if started else service
    counted = rng.random(rows) < 0.97
    packets = rng.integers(1, 2_000, rows)

    def of(key: str, type_: pa.DataType) -> pa.Array:
        return pa.array([item[key] for item in people], type_).take(who)

    return {
        f"{side}_ip": pa.array(addresses).take(pa.array(index)),
        f"{side}_port": pa.array(ports.astype(np.uint16), mask=portless),
        f"{side}_workload": of("id", pa.string()),
        f"{side}_name": of("name", pa.string()),
        f"{side}_kind": of("kind", pa.string()),
        f"{side}_labels": of("labels", pa.list_(pa.string())),
        f"{side}_identity": of("identity", pa.int64()),
        f"{side}_method": pa.array(np.where(outside, "unknown", "netns")),
        f"{side}_packets": pa.array(packets, mask=~counted),
        f"{side}_bytes": pa.array(packets * rng.integers(40, 1_500, rows), mask=~counted),
    }

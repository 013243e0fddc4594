"""Two made-up days of the shop's connections, for tests of the web and for looking at pages."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from ringfence.model.flow import FLOW_SCHEMA
from ringfence.model.workload import Workload

TALKS: tuple[tuple[str, str, int, int], ...] = (
    ("visitor", "web", 8080, 30),
    ("web", "api", 8080, 26),
    ("api", "db", 5432, 24),
    ("api", "cache", 6379, 22),
    ("batch", "db", 5432, 8),
    ("batch", "cache", 6379, 3),
    ("api", "search", 9200, 6),
    ("api", "mail", 2525, 2),
    ("metrics", "api", 9090, 4),
    ("metrics", "db", 9187, 4),
    ("admin-panel", "api", 8080, 2),
    ("backup", "db", 5432, 1),
    ("coupon", "api", 8080, 3),
)


def flows(known: Mapping[str, Workload], now: datetime, *, count: int = 3_000, seed: int = 7) -> pa.Table:
    """Two days of the shop's traffic, the later hours busier, and a scan by `coupon` twelve minutes ago."""
    chance = random.Random(seed)
    pairs = chance.choices(TALKS, weights=[talk[3] for talk in TALKS], k=count)
    rows = []
    for number, (src, dst, port, _) in enumerate(pairs):
        hours = chance.random() ** 2 * (46 if src not in ("backup", "admin-panel") else 8)
        rows.append(_row(number, chance, known[src], known[dst], port, now - timedelta(hours=hours, seconds=3)))
    for number, port in enumerate([22, 80, 443, 3306, 5432, 6379, 8080, 9200] * 6):
        target = known["db" if number % 2 else "cache"]
        row = _row(count + number, chance, known["coupon"], target, port, now - timedelta(seconds=720 + number))
        rows.append(row | _denied())
    rows += [_outside(count + 100 + number, chance, known["api"], now) for number in range(40)]
    return pa.Table.from_pylist(rows, schema=FLOW_SCHEMA)


def _row(  # noqa: PLR0917 -- a table of values reads best in order
    number: int, chance: random.Random, src: Workload, dst: Workload, port: int, at: datetime
) -> dict[str, Any]:
    """One allowed connection between two workloads on the last network that both have."""
    shared = [a.network for a in src.attachments if a.network in [b.network for b in dst.attachments]]
    network = shared[-1] if shared else dst.attachments[-1].network
    size = int(chance.lognormvariate(8, 2))
    length = timedelta(seconds=chance.lognormvariate(-1, 1.5))
    open_ = at > datetime.now(UTC) - timedelta(minutes=2) or (number % 97 == 0)
    row: dict[str, Any] = dict.fromkeys(FLOW_SCHEMA.names)
    return row | {
        "flow_id": f"{number:032x}",
        "host": "shop-1",
        "reporter": "src+dst",
        "origin": "conntrack",
        "started": at,
        "last_seen": at + length,
        "ended": None if open_ else at + length,
        "end_reason": None if open_ else "closed",
        "protocol": 6,
        "transport": "tcp",
        "ip_version": 4,
        "src_ip": _address(src, network),
        "src_port": 32768 + chance.randrange(28000),
        "dst_ip": _address(dst, network),
        "dst_port": port,
        "tcp_state": "ESTABLISHED" if open_ else "CLOSE",
        "handshake_us": chance.randrange(80, 900),
        "network": network,
        "community_id": f"1:{chance.randbytes(15).hex()}=",
        "enforced": "allowed",
        "enforced_basis": "default",
        "src_packets": size // 900 + 4,
        "src_bytes": size // 4 + 300,
        "dst_packets": size // 1200 + 3,
        "dst_bytes": size,
        **_end("src", src),
        **_end("dst", dst),
    }


def _end(side: str, item: Workload) -> dict[str, Any]:
    return {
        f"{side}_workload": item.id,
        f"{side}_name": item.name,
        f"{side}_kind": item.kind.value,
        f"{side}_labels": [f"{key}={value}" for key, value in item.labels.items()],
        f"{side}_identity": sum(map(ord, item.name)),
        f"{side}_method": "netns",
    }


def _address(item: Workload, network: str) -> str:
    found = next((one for one in item.attachments if one.network == network), item.attachments[-1])
    return str(found.addresses[0])


def _denied() -> dict[str, Any]:
    nothing = dict.fromkeys(("dst_packets", "dst_bytes", "handshake_us", "tcp_state"))
    return nothing | {
        "origin": "nflog",
        "reporter": "src",
        "end_reason": "denied",
        "enforced": "denied",
        "enforced_basis": "default",
        "rule": "application/egress/default",
        "egress_rule": "application/egress/default",
    }


def _outside(number: int, chance: random.Random, api: Workload, now: datetime) -> dict[str, Any]:
    """The API asks a service on the internet, through NAT."""
    row = _row(number, chance, api, api, 443, now - timedelta(minutes=chance.randrange(1, 600)))
    nowhere = {f"dst_{name}": None for name in ("workload", "name", "kind", "labels", "identity")}
    return (
        row
        | nowhere
        | {
            "dst_ip": f"203.0.113.{1 + number % 9}",
            "dst_method": "unknown",
            "nat_src_ip": "198.51.100.4",
            "nat_src_port": row["src_port"],
            "reporter": "src+host",
            "network": None,
        }
    )

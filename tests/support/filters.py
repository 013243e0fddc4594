"""Filters that every backend must understand alike: each value type, operator, virtual field and null."""

from __future__ import annotations

import pytest

from ringfence.store.filter.conditions import MAX_WILD
from ringfence.store.filter.parser import MAX_DEPTH, MAX_TERMS


def nested(depth: int) -> str:
    """A filter of that many levels, whose innermost term asks Elasticsearch for the most levels of its own."""
    text = "ip: fd00::/64 or ip: ::/0" if depth > 1 else "ip: ::/0"
    for level in range(depth - 2):
        text = f"not ({text})" if level % 2 else f"verdict: denied and ({text})"
    return text


DEEPEST = nested(MAX_DEPTH)

FILTERS = (
    "",
    "src: 172.18.0.3",
    "src: 172.18.0.0/30",
    "not ip: 172.18.0.0/29",
    "ip: fd00::/64",
    "dst: ::/0",
    "ip: ::ffff:0:0/96",
    "ip: 0.0.0.0/0",
    "dst: fd00:0:0::0002/127",
    "ip: 172.18.*",
    "destination.nat.ip: 10.9.0.0/16",
    "not destination.nat.ip: 10.9.0.0/16",
    "nat_dst_ip: *",
    "port: 443",
    "port: 5000-6000",
    "not port: 443",
    "dport != 443",
    "dport >= 8080 and dport < 9001",
    "dport > 9000",
    "src_port <= 33000",
    "icmp_type: 8",
    "not icmp_type: 8",
    "workload: prod-web-0",
    "workload: prod-*",
    "workload: *-db-*",
    "not workload: *",
    "kind: host",
    "kind: HOST",
    "label.role: db",
    "label.role: (db or ca*)",
    "label.role: (* and not db)",
    "source.label.env: prod and not destination.label.env: prod",
    "label.com.docker.compose.project: *",
    "label.absent: *",
    "not label.role: web",
    "source.workload.labels: role=web",
    "src_labels: *=we*",
    "bytes > 1000000",
    "bytes: *",
    "not bytes: *",
    "packets: 0-500",
    "verdict: denied",
    "verdict: DENIED or staged: denied",
    "not verdict: *",
    "ended: *",
    "not end_reason: *",
    "started >= 2026-01-01T00:30:00Z",
    "started: 2026-01-01T00:10",
    "started < 2026-01-01",
    "last_seen > 2026-01-01T00:59:59.5",
    'sentence: "no rule of application/db lets it in"',
    "sentence: *closed* or staged_sentence: *closed*",
    "rule: application/db/ingress/default",
    "rule: application\\*",
    "network: shop_*",
    "community_id: 1\\:*",
    "web",
    "172.18.0.0/29",
    "prod or not staging and db",
    "(prod or staging) && !db",
    "not (verdict: denied or not transport: tcp)",
    "src_identity: 1-4",
    "host: (h1 or h2)",
    "host: h? or host: %",
    "host: h_",
    "bytes > 9223372036854775807",
    "not bytes > 9223372036854775807",
    "bytes >= 9223372036854775807",
    "bytes < 0",
    "dport > 65535",
    "dport < 0",
    "icmp_type > 255",
    "started < 1970-01-01",
    "not started < 1970-01-01",
    "started <= 1970-01-01",
    "started > 2261-12-31",
    "started <= 2261-12-31",
    "workload: a\\0b",
    pytest.param(DEEPEST, id="the deepest"),
    pytest.param(" or ".join(["ip:::/0"] * MAX_TERMS), id="the most terms"),
    pytest.param(f"workload: {'*a' * (MAX_WILD // 2)}", id="many wildcards"),
    pytest.param(f"workload: *{'a' * (MAX_WILD - 2)}*", id="a text between wildcards"),
    pytest.param(f"label.role: *{'é' * (MAX_WILD - 7)}*", id="letters of two bytes between wildcards"),
    pytest.param(f"sentence: *{'é*aé*' * (MAX_WILD // 5 - 1)}", id="a pattern that repeats itself"),
    pytest.param(f"workload: {'x' * 4000}", id="a long text"),
)

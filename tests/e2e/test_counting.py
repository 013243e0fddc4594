"""Acceptance: every connection is counted exactly once, with the right workloads, figures and rule."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support import traffic
from tests.support.containers import Container
from tests.support.lab import LabHost
from tests.support.service import RunningService
from tests.support.shop import POLICY
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.docker]

HTTP = 8080
SETTLE_SECONDS = 3.0
"""A row too many may come later than the ones that are wanted."""
WITH_HTTP = POLICY.replace("ports: [5432]", f"ports: [5432, {HTTP}]")
WGET = f"i=0; while [ $i -lt 250 ]; do wget -q -O /dev/null http://$0:{HTTP}/ || exit 1; i=$((i+1)); done"
# The lab's nc speaks no UDP. Its source ports are below the range the kernel takes its own from: no two are alike.
NC = "i=0; while [ $i -lt 250 ]; do echo $i | nc -w 5 -p $((20000+i)) $0 5432 || exit 1; i=$((i+1)); done"
ALLOWED = {"tcp": "application/db/ingress/0", "udp": "application/db/ingress/1"}
FIGURES = re.compile(r"\bsport=(\d+) dport=(\d+) packets=(\d+) bytes=(\d+)")
Figures = dict[tuple[str, str, int, int], tuple[int, int, int, int]]


def test_a_thousand_connections_are_a_thousand_flows_with_the_kernels_figures(
    lab_host: LabHost, tmp_path: Path
) -> None:
    net = lab_host.network("shop")
    api = lab_host.run("api", network=net, labels={"role": "api"})
    db = lab_host.run("db", network=net, labels={"role": "db"})
    with RunningService(lab_host.namespace.path, tmp_path, endpoints=[f"h1={lab_host.url}"]) as service:
        service.enforce(WITH_HTTP, api.id, db.id)
        db.start_inside("httpd", "-f", "-p", str(HTTP), "-h", "/www")
        with (
            traffic.TcpEcho(db.netns_path, db.address(4), 5432),
            traffic.TcpEcho(db.netns_path, db.address(6), 5432),
            traffic.UdpEcho(db.netns_path, db.address(4), 5353),
        ):
            wait_until("httpd listens", lambda: f":{HTTP} " in db.exec("netstat", "-ltn"))
            traffic.tcp_connections(api.netns_path, db.address(4), 5432, 100, payload=b"x" * 7000)
            traffic.tcp_connections(api.netns_path, db.address(6), 5432, 100)
            traffic.udp_exchanges(api.netns_path, db.address(4), 5353, 300)
            for script in (WGET, NC):
                api.exec("sh", "-c", script, db.address(4))
            kernel = kernel_figures(api)
        assert len(kernel) == 1000
        found = f"destination.port: (5432 or 5353 or {HTTP})"
        wait_until(
            "every flow shows what the kernel counted",
            lambda: _agreeing(service.flows(found), kernel),
            seconds=40,
            every=1.0,
        )
        time.sleep(SETTLE_SECONDS)
        rows = service.flows(found)
    assert len({row["flow_id"] for row in rows}) == len(rows) == 1000
    ends = Counter((row["src_workload"], row["dst_workload"]) for row in rows)
    assert ends == {(api.id, db.id): 1000}
    assert {(row["src_method"], row["dst_method"]) for row in rows} == {("netns", "netns")}
    assert {(row["transport"], row["ingress_rule"]) for row in rows} == set(ALLOWED.items())
    assert {row["enforced"] for row in rows} == {"allowed"}


def kernel_figures(container: Container) -> Figures:
    """What conntrack counted in the container's namespace: (transport, family, both ports) to packets and bytes."""
    found: Figures = {}
    for family in ("ipv4", "ipv6"):
        listed = subprocess.run(
            container.nsenter("conntrack", "-L", "-f", family), capture_output=True, text=True, check=True
        )
        for line in listed.stdout.splitlines():
            figures = FIGURES.findall(line)
            if len(figures) == 2 and figures[0][1] in {"5432", "5353", str(HTTP)}:
                (source, target, packets, octets), (_, _, reply_packets, reply_octets) = figures
                counted = (int(packets), int(octets), int(reply_packets), int(reply_octets))
                found[line.split()[0], family, int(source), int(target)] = counted
    return found


def _agreeing(rows: list[dict[str, Any]], kernel: Figures) -> list[dict[str, Any]] | None:
    shown = {
        (row["transport"], f"ipv{row['ip_version']}", row["src_port"], row["dst_port"]): (
            row["src_packets"],
            row["src_bytes"],
            row["dst_packets"],
            row["dst_bytes"],
        )
        for row in rows
    }
    return rows if shown == kernel else None

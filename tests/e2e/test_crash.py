"""Acceptance: killed twenty times under traffic, rules stay, nothing is counted twice, and what was missed is a gap."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support import traffic
from tests.support.background import Background
from tests.support.lab import LabHost
from tests.support.rules import rules_of
from tests.support.service import RunningService
from tests.support.shop import POLICY
from tests.support.sockets import inside, open_socket
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(900)]

KILLS = 20
PORT = 5432
SLACK = timedelta(seconds=2)


class Connections(Background):
    """One connection after another, thirty a second; remembers each source port with when it was open."""

    def __init__(self, netns: Path, address: str) -> None:
        super().__init__()
        self._netns, self._address = netns, address
        self.made: dict[int, tuple[datetime, datetime]] = {}

    def _work(self) -> None:
        while not self._ending.is_set():
            with open_socket(self._netns, self._address, socket.SOCK_STREAM) as client:
                began = datetime.now(UTC)
                client.settimeout(5)
                client.connect((self._address, PORT))
                client.sendall(b"ping")
                client.recv(16)
                port = client.getsockname()[1]
            self.made[port] = (began, datetime.now(UTC))
            self._ending.wait(0.03)


def _shorten(netns: Path) -> None:
    """Entries of closed connections go after a second: what a killed collector misses is really gone."""

    def write() -> None:
        for name in ("time_wait", "close", "fin_wait"):
            Path(f"/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_{name}").write_text("1")

    inside(netns, write)


def test_twenty_kills_lose_nothing_silently(lab_host: LabHost, tmp_path: Path) -> None:
    net = lab_host.network("shop")
    api = lab_host.run("api", network=net, labels={"role": "api"})
    db = lab_host.run("db", network=net, labels={"role": "db"})
    for path in (lab_host.namespace.path, api.netns_path, db.netns_path):
        _shorten(path)
    rng = random.Random(3)
    service = RunningService(lab_host.namespace.path, tmp_path, endpoints=[f"h1={lab_host.url}"])
    service.start()
    try:
        service.enforce(POLICY, db.id)
        rules = rules_of(db)
        killed: list[datetime] = []
        with (
            traffic.TcpEcho(db.netns_path, db.address(4), PORT),
            Connections(api.netns_path, db.address(4)) as connections,
        ):
            for _ in range(KILLS):
                time.sleep(rng.uniform(0.2, 2.5))
                service.kill()
                killed.append(datetime.now(UTC))
                assert rules_of(db) == rules
                assert traffic.probe_tcp(api.netns_path, db.address(4), 80, timeout=0.2) is traffic.Probe.TIMEOUT
                service.start()
            time.sleep(3)
        made = dict(connections.made)
        wait_until("every connection has ended", lambda: _ended(service), seconds=60, every=1.0)
        rows = service.flows(f"destination.port: {PORT}")
        gaps = [item for item in service.api("GET", "/gaps")["gaps"] if item["cause"] == "collector not running"]
    finally:
        service.stop()
    counted = Counter(row["src_port"] for row in rows)
    assert {port: count for port, count in counted.items() if count > 1} == {}
    assert [moment for moment in killed if not _in_a_gap((moment, moment), gaps)] == []
    missing = {port: times for port, times in made.items() if port not in counted}
    assert len(missing) < len(made)
    assert [times for times in missing.values() if not _in_a_gap(times, gaps)] == []


def _ended(service: RunningService) -> bool:
    return service.flows(f"destination.port: {PORT} and not event.end: *") == []


def _in_a_gap(times: tuple[datetime, datetime], gaps: list[dict[str, Any]]) -> bool:
    return any(
        datetime.fromisoformat(gap["started"]) <= times[0] and times[1] <= datetime.fromisoformat(gap["ended"]) + SLACK
        for gap in gaps
    )

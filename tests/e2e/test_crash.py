"""Acceptance: killed twenty times under traffic, rules stay, nothing is counted twice, and what was missed is a gap."""

from __future__ import annotations

import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
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
START_SECONDS = 5.0
"""Within this time a start opens its stores, resumes, dumps the tables and is ready."""
PORT = 5432
SLACK = timedelta(seconds=2)
IN_HAND = timedelta(seconds=6)
"""What was seen so shortly before a kill may have been in memory only; what was seen since a start as well."""
LONG_RUNS = {3, 7}
"""Rounds in which it runs for twice that."""


class Connections(Background):
    """One connection after another, thirty a second; remembers each source port with when it was open.

    No port is used twice, so that a port that is counted twice is a connection that is counted twice. They are below
    the range from which the kernel takes its own.
    """

    def __init__(self, netns: Path, address: str) -> None:
        super().__init__()
        self._ports = iter(range(10000, 32768))
        self._netns, self._address = netns, address
        self.made: dict[int, tuple[datetime, datetime]] = {}

    def _work(self) -> None:
        while not self._ending.is_set():
            with open_socket(self._netns, self._address, socket.SOCK_STREAM) as client:
                port = next(self._ports)
                client.bind(("", port))
                began = datetime.now(UTC)
                client.settimeout(5)
                client.connect((self._address, PORT))
                client.sendall(b"ping")
                client.recv(16)
            self.made[port] = (began, datetime.now(UTC))
            self._ending.wait(0.03)


def _shorten(netns: Path) -> None:
    """Entries of closed connections go after a second: what a killed collector misses is really gone."""

    def write() -> None:
        for name in ("time_wait", "close", "fin_wait"):
            Path(f"/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_{name}").write_text("1")

    inside(netns, write)


@dataclass(slots=True)
class Kills:
    """What was done to the service: each kill, and each time from a kill to when it was ready again."""

    service: RunningService
    rng: random.Random
    moments: list[datetime] = field(default_factory=list)
    away: list[tuple[datetime, datetime]] = field(default_factory=list)
    watched: list[tuple[datetime, datetime]] = field(default_factory=list)
    """Times in which it ran for long enough before and after: no gap may claim them."""

    def running(self) -> Iterator[None]:
        """Kill it while it runs, in every fifth round while it stops; each second start gets a kill as well."""
        for number in range(KILLS // 2):
            if number in LONG_RUNS:
                time.sleep(2 * IN_HAND.total_seconds())
                self.watched.append((datetime.now(UTC) - IN_HAND, datetime.now(UTC) - IN_HAND))
            else:
                time.sleep(self.rng.uniform(0.2, 5.0))
            if number % 5 == 4:
                self._terminate()
            began = self._kill()
            yield
            self.service.spawn()
            time.sleep(self.rng.uniform(0.0, START_SECONDS))
            self._kill()
            yield
            self.service.start()
            self.away.append((began, datetime.now(UTC)))

    def _terminate(self) -> None:
        assert self.service.process is not None
        self.service.process.terminate()
        time.sleep(self.rng.uniform(0.0, 1.0))

    def _kill(self) -> datetime:
        self.service.kill()
        self.moments.append(datetime.now(UTC))
        return self.moments[-1]


def test_twenty_kills_lose_nothing_silently(lab_host: LabHost, tmp_path: Path) -> None:
    net = lab_host.network("shop")
    api = lab_host.run("api", network=net, labels={"role": "api"})
    db = lab_host.run("db", network=net, labels={"role": "db"})
    for path in (lab_host.namespace.path, api.netns_path, db.netns_path):
        _shorten(path)
    service = RunningService(lab_host.namespace.path, tmp_path, endpoints=[f"h1={lab_host.url}"])
    service.start()
    try:
        service.enforce(POLICY, db.id)
        rules = rules_of(db)
        kills = Kills(service, random.Random(3))
        with (
            traffic.TcpEcho(db.netns_path, db.address(4), PORT),
            Connections(api.netns_path, db.address(4)) as connections,
        ):
            for _ in kills.running():
                assert rules_of(db) == rules
                assert traffic.probe_tcp(api.netns_path, db.address(4), 80, timeout=0.2) is traffic.Probe.TIMEOUT
            time.sleep(8)
        made = dict(connections.made)
        wait_until("every connection has ended", lambda: _ended(service), seconds=60, every=1.0)
        rows = service.flows(f"destination.port: {PORT}")
        gaps = [item for item in service.api("GET", "/gaps")["gaps"] if item["cause"] == "collector not running"]
    finally:
        service.stop()
    counted = Counter(row["src_port"] for row in rows)
    assert {port: count for port, count in counted.items() if count > 1} == {}
    assert len(kills.moments) == KILLS
    assert [moment for moment in kills.moments if not _in_a_gap((moment, moment), gaps)] == []
    assert [span for span in kills.watched if any(_meet(span, _span(gap)) for gap in gaps)] == []
    missing = {port: times for port, times in made.items() if port not in counted}
    # What is counted although it fell into the time away is a gift; what was made beside it must be there.
    beside = [port for port, times in made.items() if not _overlaps(times, kills.away)]
    assert len(beside) > 50
    assert [port for port in beside if port in missing] == []
    assert missing, "a killed collector misses some"
    assert [times for times in missing.values() if not _in_a_gap(times, gaps)] == []
    sys.stdout.write(
        f"{KILLS} kills: of {len(made)} connections {len(counted)} are counted, each once; "
        f"{len(missing)} were missed, each within one of {len(gaps)} gaps\n"
    )


def _ended(service: RunningService) -> bool:
    return service.flows(f"destination.port: {PORT} and not event.end: *") == []


def _overlaps(times: tuple[datetime, datetime], away: list[tuple[datetime, datetime]]) -> bool:
    return any(began - IN_HAND <= times[1] and times[0] <= ended for began, ended in away)


def _span(gap: dict[str, Any]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(gap["started"]), datetime.fromisoformat(gap["ended"])


def _meet(one: tuple[datetime, datetime], other: tuple[datetime, datetime]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _in_a_gap(times: tuple[datetime, datetime], gaps: list[dict[str, Any]]) -> bool:
    return any(began <= times[0] and times[1] <= ended + SLACK for began, ended in map(_span, gaps))

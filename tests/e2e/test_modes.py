"""Acceptance: packets follow the policy in protect, and nothing is dropped in monitor while the same is reported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest

from tests.support import traffic
from tests.support.containers import Container
from tests.support.lab import LabHost
from tests.support.service import RunningService
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.docker]

Way = tuple[str, str, int, str, int]
"""From, to, family, transport and port of one attempt."""

PORTS = (5432, 6379, 8080)
PROBES = {"tcp": traffic.probe_tcp, "udp": traffic.probe_udp}
POLICY = """
version: 1
groups:
  - {{name: databases, selector: "role == 'db'", mode: {mode}}}
tiers:
  - {{name: application, default: pass}}
policies:
  - name: db-from-api
    tier: application
    selector: "role == 'db'"
    ingress:
      - {{action: allow, from: {{selector: "role == 'api'"}}, protocol: tcp, ports: [5432]}}
      - {{action: deny, from: {{selector: "role == 'api'"}}}}
"""
SENTENCE = "denied by ingress rule 2 of policy db-from-api (tier application)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """Three containers, each with echo servers on every port, both transports and both families."""

    api: Container
    db: Container
    web: Container

    @property
    def all(self) -> tuple[Container, ...]:
        return (self.api, self.db, self.web)


@pytest.fixture
def shop(lab_host: LabHost) -> Iterator[Shop]:
    net = lab_host.network("shop")
    made = Shop(**{name: lab_host.run(name, network=net, labels={"role": name}) for name in ("api", "db", "web")})
    with ExitStack() as stack:
        for item in made.all:
            for version in (4, 6):
                for port in PORTS:
                    stack.enter_context(traffic.TcpEcho(item.netns_path, item.address(version), port))
                    stack.enter_context(traffic.UdpEcho(item.netns_path, item.address(version), port))
        yield made


def matrix(shop: Shop, *, dropped: Callable[[Way], bool]) -> dict[Way, bool]:
    """Who reaches whom, tried with real packets. What is to get through is waited for longer than a lost SYN."""
    found: dict[Way, bool] = {}
    for client, server in permutations(shop.all, 2):
        for version, port, (transport, probe) in product((4, 6), PORTS, PROBES.items()):
            way = (client.name, server.name, version, transport, port)
            answer = probe(client.netns_path, server.address(version), port, timeout=0.4 if dropped(way) else 4.0)
            found[way] = answer is traffic.Probe.OPEN
    sys.stdout.write(f"{len(found)} probes, {sum(found.values())} of them answered\n")
    return found


def forbidden(way: Way) -> bool:
    """What the policy says, written down a second time by hand."""
    client, server, _, transport, port = way
    return (client, server) == ("api", "db") and (transport, port) != ("tcp", 5432)


def attempts(rows: list[dict[str, Any]]) -> set[Way]:
    return {(row["src_name"], row["dst_name"], row["ip_version"], row["transport"], row["dst_port"]) for row in rows}


def check_explanations(service: RunningService, rows: list[dict[str, Any]]) -> None:
    """The policy says itself that it is in force, and asked again tier by tier it gives what the kernels did."""
    wait_until("the policy is in force", lambda: service.api("GET", "/policies")["rollout"]["settled"], seconds=10)
    wrong = {}
    for row in rows:
        found = service.api("GET", f"/flows/{row['flow_id']}/explanation")
        if found["notes"] or not found["agrees"] or any(way["agrees"] is False for way in found["ways"]):
            wrong[row["flow_id"]] = row, found
    assert wrong == {}


def test_packets_follow_the_policy_and_denied_attempts_say_why(shop: Shop, lab_host: LabHost, tmp_path: Path) -> None:
    with RunningService(lab_host.namespace.path, tmp_path, endpoints=[f"h1={lab_host.url}"]) as service:
        service.enforce(POLICY.format(mode="protect"), *(item.id for item in shop.all))
        seen = matrix(shop, dropped=forbidden)
        wrong = {key for key, reached in seen.items() if reached is forbidden(key)}
        assert wrong == set()
        expected = {key for key in seen if forbidden(key)}
        rows = wait_until(
            "every denied attempt is a denied flow",
            lambda: _exactly(service.flows("verdict: denied"), expected),
            seconds=20,
            every=1.0,
        )
        check_explanations(service, service.flows())
    assert {row["rule"] for row in rows} == {"application/db-from-api/ingress/1"}
    assert all(SENTENCE in row["sentence"] for row in rows)


def test_monitor_drops_nothing_and_reports_the_same_attempts_as_staged(
    shop: Shop, lab_host: LabHost, tmp_path: Path
) -> None:
    with RunningService(lab_host.namespace.path, tmp_path, endpoints=[f"h1={lab_host.url}"]) as service:
        service.enforce(POLICY.format(mode="monitor"), *(item.id for item in shop.all))
        seen = matrix(shop, dropped=lambda _: False)
        assert all(seen.values())
        expected = {key for key in seen if forbidden(key)}
        rows = wait_until(
            "every attempt that would be denied is reported",
            lambda: _exactly(service.flows("staged: denied"), expected),
            seconds=20,
            every=1.0,
        )
        assert service.flows("verdict: denied") == []
        check_explanations(service, rows)
    assert {(row["enforced"], row["staged_rule"]) for row in rows} == {("allowed", "application/db-from-api/ingress/1")}
    assert all(SENTENCE in row["staged_sentence"] for row in rows)


def _exactly(rows: list[dict[str, Any]], expected: set[Way]) -> list[dict[str, Any]] | None:
    return rows if attempts(rows) == expected else None

"""Acceptance: the whole story with Elasticsearch, PostgreSQL and Redis, chosen by settings alone."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
import redis

from tests.support import traffic
from tests.support.containers import Container
from tests.support.elasticsearch import Elasticsearch
from tests.support.lab import LabHost
from tests.support.relay import Relay
from tests.support.service import RunningService
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.servers, pytest.mark.timeout(600)]

POLICY = """
version: 1
groups:
  - {name: databases, selector: "role == 'db'", mode: protect}
tiers:
  - {name: application, default: deny}
policies:
  - name: db
    tier: application
    selector: "role == 'db'"
    ingress:
      - {action: allow, from: {selector: "role == 'api'"}, protocol: tcp, ports: [5432]}
responses:
  - {name: contain, destination: "role == 'db'", count: 5, within: 10s, expires: 1h, max_per_hour: 3}
"""
CONNECTIONS = 50


@pytest.fixture
def stores(
    lab_host: LabHost, elasticsearch: Elasticsearch, postgres_url: str, redis_url: str
) -> Iterator[dict[str, str]]:
    """Settings that name the servers, which are reached from inside the Docker host under the same addresses."""
    prefix = f"fleet{uuid.uuid4().hex[:8]}"
    settings = {
        "store.flows": elasticsearch.url,
        "store.flows_ca": elasticsearch.ca,
        "store.flows_prefix": prefix,
        "store.state": postgres_url,
        "jobs.broker": redis_url,
    }
    ports = [elasticsearch.port, *(urlsplit(url).port or 0 for url in (postgres_url, redis_url))]
    try:
        with contextlib.ExitStack() as relays:
            for port in ports:
                relays.enter_context(Relay(lab_host.namespace.path, port))
            yield settings
    finally:
        elasticsearch.clear(prefix)


@pytest.fixture
def apart(lab_host: LabHost, elasticsearch: Elasticsearch, postgres_url: str) -> Iterator[dict[str, str]]:
    """Settings that name servers of which only PostgreSQL is reached: a test lays the way to Elasticsearch itself."""
    prefix = f"fleet{uuid.uuid4().hex[:8]}"
    try:
        with Relay(lab_host.namespace.path, urlsplit(postgres_url).port or 0):
            yield {
                "store.flows": elasticsearch.url,
                "store.flows_ca": elasticsearch.ca,
                "store.flows_prefix": prefix,
                "store.state": postgres_url,
            }
    finally:
        elasticsearch.clear(prefix)


@pytest.fixture
def fleet(lab_host: LabHost, tmp_path: Path, stores: dict[str, str]) -> Iterator[RunningService]:
    """`ringfence up` on a Docker host whose stores and broker are servers. Nothing but settings differs."""
    netns, endpoints = lab_host.namespace.path, [f"h1={lab_host.url}"]
    with RunningService(netns, tmp_path, endpoints=endpoints, settings=stores) as service:
        yield service


class Beside:
    """`ringfence worker` or `ringfence beat` beside a service; ended with SIGTERM."""

    def __init__(self, service: RunningService, command: str) -> None:
        self._log = service.folder / f"{command}.log"
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                service.argv(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        """The exit status after SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise AssertionError(f"it did not stop:\n{self.log()[-3000:]}") from None


@contextlib.contextmanager
def beside(service: RunningService, command: str) -> Iterator[Beside]:
    running = Beside(service, command)
    try:
        yield running
    except BaseException as error:
        error.add_note(f"the log of {command}:\n{running.log()[-5000:]}")
        raise
    finally:
        running.stop()


def test_the_whole_story_runs_on_a_fleets_stores(
    fleet: RunningService, lab_host: LabHost, elasticsearch: Elasticsearch, redis_url: str, tmp_path: Path
) -> None:
    net = lab_host.network("shop")
    api, db, bad = (
        lab_host.run(name, network=net, labels={"role": role})
        for name, role in (("api", "api"), ("db", "db"), ("coupon", "coupon"))
    )
    fleet.enforce(POLICY, db.id)
    _flows_are_seen(fleet, api, db)
    quarantine = _scanner_is_isolated(fleet, bad, db)
    with redis.Redis.from_url(redis_url) as broker:
        report = _order_report(fleet)
        assert fleet.api("GET", f"/reports/{report}")["state"] == "running", "nobody makes reports yet"
        assert broker.llen("ringfence") >= 1, "the order waits in Redis"
    with beside(fleet, "worker") as worker:
        wait_until("the worker made the report", lambda: _made(fleet, report), seconds=60, every=0.5)
        _report_tells_the_story(fleet, report)
        assert worker.stop() == 0, worker.log()
    assert fleet.api("POST", f"/quarantines/{quarantine['id']}/release", {"reason": "cleaned"})
    wait_until("it is released", lambda: _quarantine(fleet, "released"), seconds=10)
    actions = {record["action"] for record in fleet.api("GET", "/audit?limit=500")["records"]}
    assert {"policy applied", "response triggered", "quarantine state changed", "report created"} <= actions
    assert fleet.run("audit", "verify").returncode == 0
    _nothing_is_embedded(tmp_path / "data")
    status, found = elasticsearch.call("POST", f"/{fleet.settings['store.flows_prefix']}*/_refresh")
    assert status == 200 and found["_shards"]["failed"] == 0


def test_the_whole_story_runs_on_an_agent_a_server_a_worker_and_a_beat(
    lab_host: LabHost, tmp_path: Path, stores: dict[str, str]
) -> None:
    net = lab_host.network("shop")
    api, db, bad = (
        lab_host.run(name, network=net, labels={"role": role})
        for name, role in (("api", "api"), ("db", "db"), ("coupon", "coupon"))
    )
    netns, endpoints = lab_host.namespace.path, [f"h1={lab_host.url}"]
    folders = {name: tmp_path / name for name in ("server", "agent")}
    for folder in folders.values():
        folder.mkdir()
    with (
        RunningService(netns, folders["server"], settings=stores, command=("server",)) as server,
        RunningService(netns, folders["agent"], endpoints=endpoints, settings=stores, command=("agent",)) as agent,
        beside(server, "worker") as worker,
        beside(server, "beat") as beat,
    ):
        wait_until("the agent is heard", lambda: server.api("GET", "/health")["hosts"], seconds=60, every=0.5)
        server.enforce(POLICY, db.id, seconds=30)
        _flows_are_seen(server, api, db)
        quarantine = _scanner_is_isolated(server, bad, db)
        report = _order_report(server)
        wait_until("the worker made the report", lambda: _made(server, report), seconds=60, every=0.5)
        _report_tells_the_story(server, report)
        assert server.api("POST", f"/quarantines/{quarantine['id']}/release", {"reason": "cleaned"})
        wait_until("it is released", lambda: _quarantine(server, "released"), seconds=20)
        assert [item.process.poll() for item in (server, agent, worker, beat) if item.process] == [None] * 4
        for process in (server, agent):
            assert process.run("audit", "verify").returncode == 0
        assert (beat.stop(), worker.stop(), agent.stop(), server.stop()) == (0, 0, 0, 0)
    for log in (server.log(), agent.log(), worker.log(), beat.log()):
        assert "Traceback" not in log, log[-3000:]


def test_beat_sends_again_what_a_broker_lost(fleet: RunningService, redis_url: str) -> None:
    report = _order_report(fleet)
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushall()
    with beside(fleet, "worker"), beside(fleet, "beat") as beat:
        wait_until("the lost report is made", lambda: _made(fleet, report), seconds=60, every=0.5)
        assert beat.process.poll() is None
        assert beat.stop() == 0, beat.log()
        assert "Traceback" not in beat.log()


def test_a_second_service_of_the_same_fleet_shows_the_same_flows_and_state(
    fleet: RunningService, tmp_path: Path
) -> None:
    fleet.apply_policy(POLICY)
    folder = tmp_path / "second"
    folder.mkdir()
    chosen = {key: value for key, value in fleet.settings.items() if key.startswith(("store.", "jobs."))}
    with RunningService(fleet.netns, folder, settings=chosen | {"web.port": "8845"}, command=("server",)) as second:
        assert second.api("GET", "/policies")["text"] == POLICY


def test_with_the_flow_store_away_nothing_is_lost(
    lab_host: LabHost, tmp_path: Path, elasticsearch: Elasticsearch, apart: dict[str, str]
) -> None:
    netns = lab_host.namespace.path
    net = lab_host.network("shop")
    api, db = (lab_host.run(name, network=net, labels={"role": name}) for name in ("api", "db"))
    relays = [Relay(netns, elasticsearch.port)]
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [relay.stop() for relay in relays])
        relays[0].start()
        service = stack.enter_context(RunningService(netns, tmp_path, endpoints=[f"h1={lab_host.url}"], settings=apart))
        service.enforce(POLICY, db.id)
        relays[0].stop()
        with traffic.TcpEcho(db.netns_path, db.address(4), 5432):
            made = traffic.tcp_connections(api.netns_path, db.address(4), 5432, CONNECTIONS)
        wait_until("the service says so", lambda: "store is away" in service.log(), seconds=40, every=0.5)
        status, answer = service.request("GET", "/api/v1/flows")
        assert (status, json.loads(answer)["status"]) == (503, 503)
        relays.append(Relay(netns, elasticsearch.port))
        relays[1].start()
        rows = wait_until("all are stored", lambda: _all_counted(service, made.sources), seconds=90, every=1.0)
        assert len({row["src_port"] for row in rows}) == CONNECTIONS
        lost = [item for item in service.api("GET", "/gaps")["gaps"] if item["cause"] == "spool full"]
        assert lost == []


def test_a_host_that_starts_while_the_flow_store_is_away_has_its_rules_and_captures_later(
    lab_host: LabHost, tmp_path: Path, elasticsearch: Elasticsearch, apart: dict[str, str]
) -> None:
    netns = lab_host.namespace.path
    net = lab_host.network("shop")
    api, db, bad = (lab_host.run(name, network=net, labels={"role": name}) for name in ("api", "db", "bad"))
    with contextlib.ExitStack() as stack:
        service = RunningService(netns, tmp_path, endpoints=[f"h1={lab_host.url}"], settings=apart)
        stack.callback(service.stop)
        service.spawn()
        limit = "limit: connections are not captured yet: the flow store has not told"
        wait_until("it is up and says what it cannot do", lambda: limit in service.log(), seconds=60, every=0.2)
        assert service.request("GET", "/readyz", signed_in=False)[0] == 503
        service.enforce(POLICY.replace("role == 'api'", "role == 'api' || kind == 'host'"), db.id)
        with traffic.TcpEcho(db.netns_path, db.address(4), 5432):
            assert traffic.probe_tcp(api.netns_path, db.address(4), 5432) is traffic.Probe.OPEN
            # The host's addresses are known from its namespace alone.
            assert traffic.probe_tcp(netns, db.address(4), 5432) is traffic.Probe.OPEN
            assert traffic.probe_tcp(bad.netns_path, db.address(4), 5432) is not traffic.Probe.OPEN
        (host,) = service.api("GET", "/health")["hosts"]
        assert (host["facts"]["capturing"], host["facts"]["store_away"]) == (False, True)
        assert any("not captured yet" in limit for limit in host["facts"]["limits"])
        assert "flows wait in the spool: Elasticsearch failed: Connection refused" in host["facts"]["limits"]
        stack.enter_context(Relay(netns, elasticsearch.port))
        wait_until("it captures", lambda: _captures(service), seconds=40, every=0.5)
        _flows_are_seen(service, api, db)
        gaps = {gap["cause"]: gap for gap in service.api("GET", "/gaps")["gaps"]}
        assert "not captured yet" in gaps["connections not captured"]["detail"]
        assert "Traceback" not in service.log()


def test_a_server_and_a_worker_that_start_while_the_flow_store_is_away_make_a_report_later(
    lab_host: LabHost, tmp_path: Path, elasticsearch: Elasticsearch, apart: dict[str, str], redis_url: str
) -> None:
    netns = lab_host.namespace.path
    with contextlib.ExitStack() as stack:
        stack.enter_context(Relay(netns, urlsplit(redis_url).port or 0))
        server = RunningService(netns, tmp_path, settings=apart | {"jobs.broker": redis_url}, command=("server",))
        stack.callback(server.stop)
        server.spawn()
        wait_until("it is up", lambda: "Ringfence is up" in server.log(), seconds=60, every=0.2)
        worker = stack.enter_context(beside(server, "worker"))
        stack.enter_context(beside(server, "beat"))
        report = _order_report(server)
        wait_until("the worker looked for the store", lambda: "flow store is away" in worker.log(), seconds=60)
        assert server.request("GET", "/api/v1/flows")[0] == 503
        assert worker.process.poll() is None
        assert server.api("GET", f"/reports/{report}")["state"] == "running"
        stack.enter_context(Relay(netns, elasticsearch.port))
        wait_until("the report is made", lambda: _made(server, report), seconds=120, every=0.5)
        assert "Traceback" not in server.log() + worker.log()


def _captures(service: RunningService) -> bool:
    (host,) = service.api("GET", "/health")["hosts"]
    return bool(host["facts"]["capturing"])


def _flows_are_seen(service: RunningService, api: Container, db: Container) -> None:
    with traffic.TcpEcho(db.netns_path, db.address(4), 5432):
        made = traffic.tcp_connections(api.netns_path, db.address(4), 5432, CONNECTIONS)
    rows = wait_until("each connection is a flow", lambda: _all_counted(service, made.sources), seconds=40, every=1.0)
    assert {(row["src_workload"], row["dst_workload"]) for row in rows} == {(api.id, db.id)}
    assert {(row["enforced"], row["ingress_rule"]) for row in rows} == {("allowed", "application/db/ingress/0")}


def _all_counted(service: RunningService, ports: Sequence[int]) -> list[dict[str, Any]] | None:
    """The flows from these ports, once there is one for each; what was open before may be counted beside them."""
    try:
        rows = service.flows("destination.port: 5432 and verdict: allowed")
    except AssertionError:  # the store is away: 503
        return None
    found = [row for row in rows if row["src_port"] in ports]
    return found if sorted(row["src_port"] for row in found) == sorted(ports) else None


def _scanner_is_isolated(service: RunningService, bad: Container, db: Container) -> dict[str, Any]:
    traffic.scan(bad.netns_path, db.address(4), range(1, 9), timeout=0.3)
    quarantine = wait_until("it is isolated", lambda: _quarantine(service, "verified"), seconds=15)
    assert (quarantine["workload"], quarantine["author"]) == (bad.id, "automation:contain")
    assert traffic.probe_tcp(bad.netns_path, db.address(4), 5432, timeout=0.5) is traffic.Probe.TIMEOUT
    findings = service.api("GET", "/findings")["findings"]
    assert sorted(item["kind"] for item in findings) == ["detection", "policy violation"]
    assert quarantine["finding"] in {item["id"] for item in findings if item["kind"] == "detection"}
    return quarantine


def _quarantine(service: RunningService, state: str) -> dict[str, Any] | None:
    found = service.api("GET", "/quarantines")["quarantines"]
    return found[0] if len(found) == 1 and found[0]["state"] == state else None


def _order_report(service: RunningService) -> str:
    now = datetime.now(UTC)
    window = {"from": (now - timedelta(hours=1)).isoformat(), "to": now.isoformat()}
    made = service.api("POST", f"/reports?{urlencode(window, quote_via=quote)}", {"kind": "flow"})
    return str(made["id"])


def _made(service: RunningService, report: str) -> bool:
    found = service.api("GET", f"/reports/{report}")
    assert found["state"] != "failed", found
    return bool(found["state"] == "done")


def _report_tells_the_story(service: RunningService, report: str) -> None:
    for kind in ("html", "csv", "json"):
        status, text = service.request("GET", f"/api/v1/reports/{report}/{kind}")
        assert status == 200
        assert b"coupon" in text
    status, text = service.request("GET", f"/api/v1/reports/{report}/json")
    assert json.loads(text)["digest"]


def _nothing_is_embedded(folder: Path) -> None:
    assert [item.name for item in folder.iterdir() if item.suffix in {".duckdb", ".db"}] == []

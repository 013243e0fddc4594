"""Acceptance: on every stock Docker network connections are counted exactly, belong to the right workloads, and a
policy that denies holds. What is measured here is the table in docs/networks.md.

Both hosts of the lab share one kernel, so one Ringfence watches both engines. Clients and servers are processes in the
containers: what a host-network container does is told from the rest of its host by their cgroup.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import Container
from tests.support.lab import Lab
from tests.support.repository import compare
from tests.support.service import RunningService
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.docker]

CONNECTIONS = 100
FIRST_PORT = 7000
KINDS = (
    "user-defined bridge",
    "default bridge",
    "internal",
    "host, as client",
    "host, as server",
    "host, as named peer",
    "none",
    "container:x",
    "macvlan",
    "overlay",
)
POLICY = """
version: 1
groups:
  - {{name: watched, selector: "role in {{'server', 'sender', 'keeper'}}", mode: protect}}
tiers:
  - {{name: application, default: pass}}
policies:
  - name: servers
    tier: application
    selector: "role == 'server'"
    ingress:
      - {{action: allow, protocol: tcp, ports: {allowed}}}
      - {{action: deny, protocol: tcp, ports: {denied}}}
  - name: senders
    tier: application
    selector: "role == 'sender'"
    egress:
      - {{action: allow, protocol: tcp, ports: {allowed}}}
      - {{action: deny, protocol: tcp, ports: {denied}}}
  - name: keepers
    tier: application
    selector: "role == 'keeper'"
    ingress:
      - {{action: allow, from: {{selector: "role == 'peer'"}}, protocol: tcp, ports: {allowed}}}
      - {{action: deny, from: {{selector: "role == 'peer'"}}, protocol: tcp, ports: {denied}}}
"""
EXCHANGES = 'i=0; while [ $i -lt {count} ]; do echo "$i" | nc -w 5 {address} {port}; i=$((i+1)); done'
ENDED_BY = {1: "no connection", 143: "it opens, no data passes"}
"""What the exit status of a denied attempt says: nc gave up connecting, or it connected and was ended by `timeout`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A client and a server on one kind of network. `source` and `destination`: whose traffic it is."""

    kind: str
    client: Container
    server: Container
    address: str
    source: Container
    destination: Container
    direction: str = "ingress"
    wiring: str = "one host"
    policy: str = "application/servers/ingress"

    @property
    def allowed_port(self) -> int:
        return FIRST_PORT + 2 * KINDS.index(self.kind)

    @property
    def denied_port(self) -> int:
        return self.allowed_port + 1

    @property
    def judged(self) -> Container:
        return self.destination if self.direction == "ingress" else self.source

    def serve(self) -> None:
        """Echo servers in the server's container, on both ports."""
        for port in (self.allowed_port, self.denied_port):
            self.server.start_inside("nc", "-ll", "-p", str(port), "-e", "cat")
        wanted = {str(self.allowed_port), str(self.denied_port)}
        wait_until(f"{self.kind}: the servers listen", lambda: wanted <= _listening(self.server))

    def exchange(self, port: int, count: int) -> int:
        """`count` connections, one after another; how many brought their own number back."""
        script = EXCHANGES.format(count=count, address=self.address, port=port)
        answers = self.client.exec("sh", "-c", script, check=False).split()
        return sum(answer == str(number) for number, answer in enumerate(answers))

    def try_denied(self) -> str:
        """One attempt on the denied port: what the client sees."""
        attempt = f"echo 0 | nc -w 2 {self.address} {self.denied_port}"
        status, output = self.client.exec_status("timeout", "4", "sh", "-c", attempt)
        assert "0" not in output.split(), f"{self.kind}: the denied port answered"
        return ENDED_BY.get(status, f"ended with {status}: {output}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the containers did and what Ringfence says about it."""

    link: Link
    made: int
    before: int
    seen: str
    rows: list[dict[str, Any]]
    denied: list[dict[str, Any]]

    @property
    def complete(self) -> bool:
        """Whether every row is there and names its rule: the mark of a host-network server shows in a later dump."""
        named = all(row[f"{self.link.direction}_rule"] for row in self.rows)
        return len(self.rows) >= CONNECTIONS and named and bool(self.denied)


def _listening(container: Container) -> set[str]:
    lines = container.exec("netstat", "-ltn").splitlines()
    return {line.split()[3].rpartition(":")[2] for line in lines if "LISTEN" in line}


def _wire(left: Container, right: Container) -> str:
    """A veth pair between two containers that Docker knows nothing of; the right one's address."""
    enter = ("nsenter", f"--net={left.netns_path}", "--", "ip")
    peer = ("nsenter", f"--net={right.netns_path}", "--", "ip")
    commands = [
        (*enter, "link", "add", "wire0", "type", "veth", "peer", "name", "wire0", "netns", str(right.pid)),
        (*enter, "address", "add", "10.99.0.1/24", "dev", "wire0"),
        (*peer, "address", "add", "10.99.0.2/24", "dev", "wire0"),
        (*enter, "link", "set", "wire0", "up"),
        (*peer, "link", "set", "wire0", "up"),
    ]
    for command in commands:
        subprocess.run(command, check=True, capture_output=True, timeout=10)
    return "10.99.0.2"


def links(lab: Lab) -> Iterator[Link]:
    """One client and one server on each kind of network."""
    first, second = lab.hosts
    server, client, sender = {"role": "server"}, {"role": "client"}, {"role": "sender"}

    def pair(kind: str, network: str, *, across: bool = False) -> Link:
        left = first.run(f"{network}-client", network=network, labels=client)
        right = (second if across else first).run(f"{network}-server", network=network, labels=server)
        address = right.address(4, network)
        wiring = "two hosts" if across else "one host"
        return Link(
            kind=kind, client=left, server=right, address=address, source=left, destination=right, wiring=wiring
        )

    yield pair("user-defined bridge", first.network("shop"))
    yield pair("default bridge", "bridge")
    yield pair("internal", first.network("inside", internal=True))

    plain = first.run("target", network="shop")
    node = first.run("host-client", network="host", labels=sender)
    yield Link(
        kind="host, as client",
        client=node,
        server=plain,
        address=plain.address(4),
        source=node,
        destination=plain,
        direction="egress",
        policy="application/senders/egress",
    )
    caller = first.run("caller", network="shop")
    node = first.run("host-server", network="host", labels=server)
    yield Link(
        kind="host, as server", client=caller, server=node, address=first.address, source=caller, destination=node
    )
    keeper = first.run("keeper", network="shop", labels={"role": "keeper"})
    node = first.run("host-peer", network="host", labels={"role": "peer"})
    yield Link(
        kind="host, as named peer",
        client=node,
        server=keeper,
        address=keeper.address(4),
        source=node,
        destination=keeper,
        policy="application/keepers/ingress",
    )

    left = first.run("none-client", network="none", labels=client)
    right = first.run("none-server", network="none", labels=server)
    address = _wire(left, right)
    wiring = "a veth pair laid by hand"
    yield Link(kind="none", client=left, server=right, address=address, source=left, destination=right, wiring=wiring)

    owners = [first.run(f"x-{role['role']}", network="shop", labels=role) for role in (client, server)]
    joined = [first.run(f"joined-{item.name}", network=f"container:{item.id}") for item in owners]
    yield Link(
        kind="container:x",
        client=joined[0],
        server=joined[1],
        address=owners[1].address(4),
        source=owners[0],
        destination=owners[1],
        wiring="both joined another",
    )
    yield pair("macvlan", lab.macvlan("lan"), across=True)
    yield pair("overlay", first.network("over", driver="overlay"), across=True)


@pytest.fixture(scope="module")
def measured(shared_swarm: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Measured]]:
    """Every kind once, all under one Ringfence."""
    with shared_swarm.cleared() as lab:
        made = list(links(lab))
        for link in made:
            link.serve()
        first = lab.host
        with RunningService(
            first.namespace.path,
            tmp_path_factory.mktemp("networks"),
            endpoints=[f"{host.name}={host.url}" for host in lab.hosts],
            settings={"capture.dump_seconds": 3},
        ) as service:
            yield _measure(service, made)


def _measure(service: RunningService, made: list[Link]) -> dict[str, Measured]:
    before = {link.kind: link.exchange(link.denied_port, 1) for link in made}
    policy = POLICY.format(allowed=[link.allowed_port for link in made], denied=[link.denied_port for link in made])
    service.enforce(policy, *(link.judged.id for link in made))
    done = {link.kind: (link.exchange(link.allowed_port, CONNECTIONS), link.try_denied()) for link in made}

    def read() -> dict[str, Measured]:
        return {
            link.kind: Measured(
                link=link,
                made=done[link.kind][0],
                before=before[link.kind],
                seen=done[link.kind][1],
                rows=service.flows(f"destination.port: {link.allowed_port}"),
                denied=service.flows(f"destination.port: {link.denied_port} and verdict: denied"),
            )
            for link in made
        }

    end = time.monotonic() + 40
    while not all(item.complete for item in read().values()) and time.monotonic() < end:
        time.sleep(1.0)
    time.sleep(3.0)  # What would be counted twice shows by now.
    return read()


@pytest.mark.parametrize("kind", KINDS)
def test_connections_are_counted_exactly_and_belong_to_the_right_workloads(
    measured: Mapping[str, Measured], kind: str
) -> None:
    found = measured[kind]
    assert found.made == CONNECTIONS
    assert len({row["flow_id"] for row in found.rows}) == len(found.rows) == CONNECTIONS
    ends = Counter((row["src_workload"], row["dst_workload"]) for row in found.rows)
    assert ends == {(found.link.source.id, found.link.destination.id): CONNECTIONS}
    assert {(row["src_method"], row["dst_method"]) for row in found.rows} == {("netns", "netns")}
    assert {row["enforced"] for row in found.rows} == {"allowed"}
    assert {row[f"{found.link.direction}_rule"] for row in found.rows} == {f"{found.link.policy}/0"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_denying_policy_holds_and_the_attempt_names_workloads_and_rule(
    measured: Mapping[str, Measured], kind: str
) -> None:
    found = measured[kind]
    assert found.before == 1, "without the policy the port answers"
    assert found.seen == ENDED_BY[143 if kind == "host, as server" else 1]
    (row,) = found.denied
    assert (row["src_workload"], row["dst_workload"]) == (found.link.source.id, found.link.destination.id)
    assert row["rule"] == f"{found.link.policy}/1"
    policy, direction = found.link.policy.split("/")[1:]
    assert f"denied by {direction} rule 2 of policy {policy} (tier application)" in row["sentence"]


def test_the_table_in_the_documents_is_what_was_measured(measured: Mapping[str, Measured], update_golden: bool) -> None:
    titles = ("network", "how", "made", "counted", "source", "destination", "seen in", "allowed by", "denied attempt")
    rows = [titles, tuple("---" for _ in titles), *(_line(measured[kind]) for kind in KINDS)]
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    compare(Path("docs/networks.md"), "networks", text, update=update_golden)


def _line(found: Measured) -> tuple[str, ...]:
    (denied,) = found.denied
    return (
        found.link.kind,
        found.link.wiring,
        str(found.made),
        str(len(found.rows)),
        _each(f"`{row['src_name']}` by {row['src_method']}" for row in found.rows),
        _each(f"`{row['dst_name']}` by {row['dst_method']}" for row in found.rows),
        _each(row["reporter"].replace("+", ", ") for row in found.rows),
        _each(f"`{row['rule']}`" for row in found.rows),
        f"{found.seen}; `{denied['rule']}`",
    )


def _each(values: Iterator[str]) -> str:
    """The one value of all rows, or every value with how often it occurs."""
    counted = Counter(values)
    if len(counted) == 1:
        return next(iter(counted))
    return ", ".join(f"{value} ({count})" for value, count in sorted(counted.items()))

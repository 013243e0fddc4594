"""The inventory follows a real engine: networks, restarts, stalls, and traffic over every stock network."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from collector.docker import DockerWatcher
from collector.inventory import Inventory
from ringfence.model.workload import Containment, NetworkKind, Workload
from tests.support import traffic
from tests.support.collecting import Collecting
from tests.support.containers import Container
from tests.support.lab import Lab, LabHost
from tests.support.namespaces import Fabric
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.docker]


@pytest.fixture
def inventory() -> Inventory:
    return Inventory()


@pytest.fixture
def watcher(lab_host: LabHost, inventory: Inventory) -> Iterator[DockerWatcher]:
    made = DockerWatcher(lab_host.url, lab_host.name, inventory, relist_seconds=60)
    made.start()
    wait_until("the engine is known", lambda: made.state().connected and made.state().version)
    yield made
    made.stop()


def known(inventory: Inventory, container: Container) -> Workload:
    return wait_until("it is known", lambda: (item := inventory.get(container.id)) and item.running and item)


def test_a_container_is_known_with_its_namespace_and_addresses(
    lab_host: LabHost, watcher: DockerWatcher, inventory: Inventory
) -> None:
    web = lab_host.run("web", network=lab_host.network("shop"), labels={"role": "web"})
    found = known(inventory, web)
    assert (found.netns, found.pid, found.host) == (web.netns, web.pid, lab_host.name)
    assert found.labels["role"] == "web"
    assert {str(item) for item in found.addresses} == {web.address(4), web.address(6)}
    assert (found.cgroup or "").endswith(web.id)
    assert found.containment is Containment.NAMESPACE


def test_networks_come_and_go_as_intervals(lab_host: LabHost, watcher: DockerWatcher, inventory: Inventory) -> None:
    first, second = lab_host.network("first"), lab_host.network("second")
    web = lab_host.run("web", network=first)
    known(inventory, web)
    web.connect(second)
    wait_until("it is connected", lambda: len(known(inventory, web).attachments) == 2)
    web.disconnect(first)
    wait_until(
        "it is disconnected", lambda: [part.until for part in known(inventory, web).attachments].count(None) == 1
    )
    parts = {part.network: part for part in known(inventory, web).attachments}
    assert parts[second].until is None
    assert parts[first].until is not None and parts[first].until >= parts[second].since


def test_a_restart_is_another_run(lab_host: LabHost, watcher: DockerWatcher, inventory: Inventory) -> None:
    web = lab_host.run("web")
    before = known(inventory, web)
    web.restart()
    wait_until("it runs again", lambda: known(inventory, web).started > before.started)
    runs = [item for item in inventory.snapshot().workloads if item.id == web.id]
    assert sorted(item.running for item in runs) == [False, True]
    assert next(item for item in runs if not item.running).ended is not None


def test_every_way_of_sharing_is_told_apart(lab_host: LabHost, watcher: DockerWatcher, inventory: Inventory) -> None:
    web = lab_host.run("web")
    joined = lab_host.run("joined", network="container:web", capabilities=("NET_ADMIN",))
    outside = lab_host.run("outside", network="host")
    alone = lab_host.run("alone", network="none")
    kinds = {item.name: [part.kind for part in known(inventory, item).attachments] for item in (joined, outside, alone)}
    assert kinds == {"joined": [NetworkKind.SHARED], "outside": [NetworkKind.HOST], "alone": [NetworkKind.NONE]}
    assert [item.name for item in inventory.at_namespace(web.netns)] == ["web", "joined"]
    assert known(inventory, outside).containment is Containment.CGROUP
    assert wait_until("it is seen", lambda: known(inventory, web).containment is Containment.HOST_SIDE)
    assert inventory.snapshot().owners[outside.netns].id == f"host:{lab_host.name}"


def test_after_a_stall_the_map_is_what_the_engine_says(lab_host: LabHost, inventory: Inventory) -> None:
    watcher = DockerWatcher(lab_host.url, lab_host.name, inventory, relist_seconds=0.3)
    watcher.list_now()
    names = {f"c{number}" for number in range(6)}
    for name in sorted(names):
        lab_host.run(name, network="none")
    lab_host.container("c0").remove()
    lab_host.container("c1").restart()
    watcher.start()
    try:
        wait_until(
            "the map is right",
            lambda: {item.name for item in inventory.workloads() if item.kind == "container"} == names - {"c0"},
        )
        pids = {item.name: item.pid for item in inventory.workloads()}
        assert pids["c1"] == lab_host.container("c1").pid
        assert watcher.state().missed >= 5
    finally:
        watcher.stop()


def test_an_engine_that_comes_late_is_taken_up(lab_host: LabHost, inventory: Inventory, tmp_path: Path) -> None:
    door = tmp_path / "docker.sock"
    watcher = DockerWatcher(f"unix://{door}", "h", inventory, relist_seconds=0.2)
    watcher.start()
    try:
        wait_until("it is missed", lambda: "there is no Docker socket" in watcher.state().error)
        door.symlink_to(lab_host.url.removeprefix("unix://"))
        wait_until("it is there", lambda: watcher.state().connected)
    finally:
        watcher.stop()


def track(*containers: Container) -> None:
    for container in containers:
        for tool in ("iptables", "ip6tables"):
            rule = container.nsenter(tool, "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
            subprocess.run(rule, check=True)


@pytest.fixture
def collecting(lab_host: LabHost, fabric: Fabric, tmp_path: Path) -> Iterator[Collecting]:
    with Collecting(fabric.namespace("home").path, tmp_path, endpoints=(f"{lab_host.name}={lab_host.url}",)) as made:
        yield made


@pytest.mark.parametrize("network", ["bridge", "internal", "container"])
def test_a_hundred_connections_over_a_network_of_one_host_are_a_hundred_flows(
    lab_host: LabHost, collecting: Collecting, network: str
) -> None:
    shop = lab_host.network("shop", internal=network == "internal")
    server = lab_host.run("server", network=shop)
    client = lab_host.run("owner" if network == "container" else "client", network=shop)
    if network == "container":
        lab_host.run("client", network="container:owner")
    wait_until("they are watched", lambda: collecting.watched(4))
    track(client, server)
    with traffic.TcpEcho(server.netns_path, server.address()) as echo:
        traffic.tcp_connections(client.netns_path, server.address(), echo.port, 100)
    rows = wait_until("all are seen", lambda: (found := collecting.between(client.name, "server"))[99:] and found)
    assert len(rows) == 100
    assert {(row["src_method"], row["dst_method"], row["network"]) for row in rows} == {("netns", "netns", shop)}
    assert {row["dst_workload"] for row in rows} == {server.id}


def test_a_published_port_is_one_flow_with_its_translation(
    shared_lab: Lab, lab_host: LabHost, collecting: Collecting
) -> None:
    server = lab_host.run("server", network=lab_host.network("shop"), publish={8080: 18080})
    outside = shared_lab.outside()
    wait_until("it is watched", lambda: collecting.watched(3))
    track(server)
    with traffic.TcpEcho(server.netns_path, server.address(), 8080) as echo:
        traffic.tcp_connections(outside.path, lab_host.address, 18080, 25)
        assert echo.peers == {"192.168.77.200": 25}, "translated, not proxied"
    rows = wait_until("all are seen", lambda: (found := collecting.between(None, "server"))[24:] and found)
    assert {(row["dst_ip"], row["dst_port"], row["nat_dst_ip"], row["nat_dst_port"]) for row in rows} == {
        (lab_host.address, 18080, server.address(), 8080)
    }
    assert {(row["reporter"], row["src_kind"], row["src_ip"]) for row in rows} == {
        ("dst+host", "external", "192.168.77.200")
    }
    assert len(rows) == 25


def test_what_docker_proxies_is_two_connections_and_no_client_is_invented(
    lab_host: LabHost, collecting: Collecting
) -> None:
    """From another network of the same host the published port is served by a process of the host."""
    server = lab_host.run("server", network=lab_host.network("shop"), publish={8080: 18080})
    client = lab_host.run("client", network=lab_host.network("elsewhere"))
    wait_until("they are watched", lambda: collecting.watched(4))
    track(client, server)
    with traffic.TcpEcho(server.netns_path, server.address(), 8080) as echo:
        traffic.tcp_connections(client.netns_path, lab_host.address, 18080, 10)
        peers = set(echo.peers)
    assert client.address() not in peers, "the lab's engine serves it by a process, it does not translate"
    name = lab_host.name
    wait_until("all are seen", lambda: len(collecting.between("client", name, dst_port=18080)) == 10)
    wait_until("all are seen", lambda: len(collecting.between(name, "server", dst_port=8080)) == 10)
    assert collecting.between("client", "server") == []


def test_containers_and_their_host_talk_as_themselves(lab_host: LabHost, collecting: Collecting) -> None:
    server = lab_host.run("server", network=lab_host.network("shop"))
    wait_until("it is watched", lambda: collecting.watched(3))
    track(server)
    with traffic.TcpEcho(server.netns_path, server.address()) as echo:
        traffic.tcp_connections(lab_host.namespace.path, server.address(), echo.port, 10)
    rows = wait_until("all are seen", lambda: (found := collecting.between(lab_host.name, "server"))[9:] and found)
    assert {(row["src_kind"], row["src_method"], row["dst_method"]) for row in rows} == {("host", "netns", "netns")}


@pytest.mark.parametrize("driver", ["overlay", "macvlan"])
def test_a_connection_between_two_hosts_is_one_flow(lab_pair: Lab, fabric: Fabric, tmp_path: Path, driver: str) -> None:
    first, second = lab_pair.hosts
    name = lab_pair.macvlan("lan") if driver == "macvlan" else first.network("wide", driver="overlay")
    endpoints = tuple(f"{host.name}={host.url}" for host in lab_pair.hosts)
    with Collecting(fabric.namespace("home").path, tmp_path, endpoints=endpoints) as collecting:
        client, server = first.run("client", network=name), second.run("server", network=name)
        wait_until("they are watched", lambda: collecting.watched(5))
        track(client, server)
        address = server.address(4, name)
        with traffic.TcpEcho(server.netns_path, address) as echo:
            traffic.tcp_connections(client.netns_path, address, echo.port, 100)
        rows = wait_until("all are seen", lambda: (found := collecting.between("client", "server"))[99:] and found)
    assert len(rows) == 100
    assert {(row["reporter"], row["network"], row["src_method"], row["dst_method"]) for row in rows} == {
        ("src+dst", name, "netns", "netns")
    }
    assert ip_address(address)

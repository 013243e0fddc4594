"""The fabric and the traffic generators say exactly what happened, and leave nothing."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.support import namespaces, sockets, traffic
from tests.support.namespaces import Fabric, Namespace
from tests.support.traffic import Probe
from tests.support.wait import wait_until

pytestmark = pytest.mark.root

V4, V6 = "10.231.0.2", "fd31::2"


@pytest.fixture
def pair(fabric: Fabric) -> tuple[Namespace, Namespace]:
    client, server = fabric.namespace("client"), fabric.namespace("server")
    fabric.wire(client, server, ["10.231.0.1/24", "fd31::1/64"], [f"{V4}/24", f"{V6}/64"])
    return client, server


@pytest.mark.parametrize("address", [V4, V6], ids=["v4", "v6"])
def test_tcp_connections_are_counted_exactly(pair: tuple[Namespace, Namespace], address: str) -> None:
    client, server = pair
    with traffic.TcpEcho(server.path, address) as echo:
        done = traffic.tcp_connections(client.path, address, echo.port, 250, payload=b"x" * 1000)
    assert (done.connections, done.sent, done.received) == (250, 250_000, 250_000)
    assert (echo.connections, echo.received, len(set(done.sources))) == (250, 250_000, 250)


@pytest.mark.parametrize("address", [V4, V6], ids=["v4", "v6"])
def test_udp_exchanges_are_counted_exactly(pair: tuple[Namespace, Namespace], address: str) -> None:
    client, server = pair
    with traffic.UdpEcho(server.path, address) as echo:
        done = traffic.udp_exchanges(client.path, address, echo.port, 100)
    assert (done.received, echo.datagrams, echo.received) == (900, 100, 900)
    assert sorted(port for _, port in echo.peers) == sorted(done.sources)


@pytest.mark.parametrize("address", [V4, V6], ids=["v4", "v6"])
def test_a_probe_tells_open_refused_and_silent_apart(pair: tuple[Namespace, Namespace], address: str) -> None:
    client, server = pair
    tool = "iptables" if address == V4 else "ip6tables"
    server.run(tool, "-A", "INPUT", "-p", "tcp", "--dport", "7", "-j", "DROP")
    with traffic.TcpEcho(server.path, address) as tcp, traffic.UdpEcho(server.path, address) as udp:
        assert traffic.probe_tcp(client.path, address, tcp.port) is Probe.OPEN
        assert traffic.probe_udp(client.path, address, udp.port) is Probe.OPEN
        assert traffic.scan(client.path, address, [tcp.port, 9, 7], timeout=0.3) == {
            tcp.port: Probe.OPEN,
            9: Probe.REFUSED,
            7: Probe.TIMEOUT,
        }
    assert traffic.probe_udp(client.path, address, 9) is Probe.REFUSED
    assert traffic.probe_tcp(client.path, "10.99.0.1", 80) is Probe.UNREACHABLE


@pytest.mark.parametrize("address", [V4, V6], ids=["v4", "v6"])
def test_long_streams_know_when_they_were_cut(pair: tuple[Namespace, Namespace], address: str) -> None:
    client, server = pair
    with (
        traffic.Download(client.path, server.path, address) as download,
        traffic.DatagramStream(client.path, server.path, address) as stream,
    ):
        wait_until("both flow", lambda: download.received > 200_000 and stream.received > 20)
        client.run("ip", "link", "set", "w0a", "down")
        cut = time.monotonic()
        time.sleep(0.5)
        assert download.last_received < cut + 0.2
        assert stream.last_received < cut + 0.2
        assert stream.sent > stream.last_sequence + 1
        assert stream.missing == 0


def test_sockets_of_a_namespace_do_not_move_the_thread(pair: tuple[Namespace, Namespace]) -> None:
    def current() -> int:
        return Path(f"/proc/self/task/{threading.get_native_id()}/ns/net").stat().st_ino

    own = current()
    assert sockets.inside(pair[0].path, current) == pair[0].inode
    assert current() == own != pair[0].inode


def test_a_switch_joins_many(fabric: Fabric) -> None:
    switch = fabric.switch()
    members = [fabric.namespace(f"m{number}") for number in range(3)]
    for number, member in enumerate(members, start=1):
        fabric.plug(member, switch, f"10.232.0.{number}/24", f"fd32::{number}/64")
    with traffic.TcpEcho(members[2].path, "fd32::3") as echo:
        for member in members[:2]:
            traffic.tcp_connections(member.path, "fd32::3", echo.port, 10)
    assert echo.peers == {"fd32::1": 10, "fd32::2": 10}


def test_nothing_is_left_after_a_failure() -> None:
    before = namespaces.leftovers()
    with pytest.raises(ZeroDivisionError), Fabric() as fabric:
        made = fabric.namespace("doomed")
        folder = fabric.folder("doomed")
        process = made.popen("sleep", "60")
        raise ZeroDivisionError
    assert process.wait(5) < 0
    assert (made.path.exists(), folder.exists()) == (False, False)
    assert namespaces.leftovers() == before


def test_a_sweep_removes_only_what_dead_runs_left(fabric: Fabric) -> None:
    alive = fabric.namespace("alive")
    dead = f"{namespaces.PREFIX}4194303-0dead"
    namespaces.netns.add(dead)
    assert dead in namespaces.sweep()
    assert not namespaces.netns.exists(dead)
    assert alive.path.exists()

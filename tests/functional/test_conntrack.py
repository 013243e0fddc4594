"""Real namespaces, real connections: every event is seen once, in its namespace, or counted as lost."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from collector import sysctl
from collector.columns import CONNTRACK, NO_TCP_STATE, MessageKind
from collector.conntrack import ConntrackListener
from collector.dump import TableReader
from collector.layout import NEW_TYPE
from collector.namespaces import Namespaces, run_in
from collector.netlink import NETLINK_NETFILTER, NFGENMSG, message, nested, open_socket
from collector.templates import Records
from tests.support import traffic
from tests.support.namespaces import Fabric, Namespace
from tests.support.sockets import inside, open_sockets
from tests.support.wait import wait_until

pytestmark = pytest.mark.root

COUNT = 100
ADDRESSES = {"v4": ("10.241.0.1", "10.241.0.2"), "v6": ("fd41::1", "fd41::2")}


def tracked(namespace: Namespace) -> Namespace:
    """Connection tracking works there, as the enforcer's rules would make it."""
    for tool in ("iptables", "ip6tables"):
        namespace.run(tool, "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT")
        namespace.run(tool, "-A", "INPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT")
    namespace.run("ip", "link", "set", "lo", "up")
    assert sysctl.prepare(str(namespace.path)) == sysctl.Readiness(accounting=True, timestamps=True, events=True)
    return namespace


@dataclass
class Scene:
    """A host that watches a client and a server which are wired to one another."""

    host: Namespace
    client: Namespace
    server: Namespace
    namespaces: Namespaces
    closing: contextlib.ExitStack

    def listener(self, receive_buffer: int = 8 << 20) -> ConntrackListener:
        listener = run_in(str(self.host.path), lambda: ConntrackListener(receive_buffer))
        self.closing.callback(listener.close)
        return listener

    def table(self, namespace: Namespace, nsid: int = -1) -> TableReader:
        reader = TableReader(str(namespace.path), nsid=nsid)
        self.closing.callback(reader.close)
        return reader


@pytest.fixture
def scene(fabric: Fabric) -> Iterator[Scene]:
    host = fabric.namespace("host")
    client, server = tracked(fabric.namespace("client")), tracked(fabric.namespace("server"))
    pairs = list(ADDRESSES.values())
    fabric.wire(client, server, [f"{pairs[0][0]}/24", f"{pairs[1][0]}/64"], [f"{pairs[0][1]}/24", f"{pairs[1][1]}/64"])
    namespaces = run_in(str(host.path), lambda: Namespaces(grace_seconds=0))
    for namespace in (client, server):
        assert namespaces.watch(str(namespace.path)) == namespace.inode
    with contextlib.ExitStack() as closing:
        closing.callback(namespaces.close)
        yield Scene(host, client, server, namespaces, closing)


def settle(listener: ConntrackListener, quiet: float = 0.6) -> Records:
    """Everything that comes until nothing has come for `quiet` seconds."""
    parts: list[Records] = [np.zeros(0, CONNTRACK)]
    end = time.monotonic() + 20
    last = time.monotonic()
    while time.monotonic() < end:
        part = listener.read(0.1)
        if len(part):
            parts.append(part)
            last = time.monotonic()
        elif time.monotonic() - last > quiet:
            break
    return np.concatenate(parts)


def flush(namespace: Namespace) -> None:
    namespace.run("conntrack", "-F")


def send(namespace: Namespace, address: str, ports: Iterable[int], sources: int = 1) -> int:
    """An empty datagram from each of `sources` new ports to each of `ports`; returns how many connections that made.

    All sockets are open together: a port that is free again may be given to the next one, and the tuple be known.
    """
    count = 0
    with contextlib.ExitStack() as stack:
        clients = open_sockets(namespace.path, address, socket.SOCK_DGRAM, sources)
        for client in clients:
            stack.callback(client.close)
        wanted = list(ports)
        for client in clients:
            for port in wanted:
                client.sendto(b"", (address, port))
                count += 1
    return count


def open_raw(namespace: Namespace, protocol: int) -> socket.socket:
    return inside(namespace.path, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol))


def packed(address: str) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address).ljust(16, b"\0")


@pytest.mark.parametrize("version", ["v4", "v6"])
def test_every_connection_is_one_new_and_one_destroy_in_both_namespaces(scene: Scene, version: str) -> None:
    source, target = ADDRESSES[version]
    listener = scene.listener()
    with traffic.TcpEcho(scene.server.path, target) as tcp, traffic.UdpEcho(scene.server.path, target) as udp:
        streams = traffic.tcp_connections(scene.client.path, target, tcp.port, COUNT)
        datagrams = traffic.udp_exchanges(scene.client.path, target, udp.port, COUNT)
    time.sleep(0.3)
    flush(scene.client)
    flush(scene.server)
    records = settle(listener)
    ours = records[(records["src"] == np.frombuffer(packed(source), np.uint8)).all(1)]
    for namespace in (scene.client, scene.server):
        nsid = scene.namespaces.nsid_of(namespace.inode)
        here = ours[ours["nsid"] == nsid]
        for port, protocol, done in ((tcp.port, 6, streams), (udp.port, 17, datagrams)):
            for kind in (MessageKind.NEW, MessageKind.DESTROY):
                found = here[(here["protocol"] == protocol) & (here["kind"] == kind) & (here["dst_port"] == port)]
                assert sorted(found["src_port"].tolist()) == sorted(done.sources)
                assert (found["dst"] == np.frombuffer(packed(target), np.uint8)).all()
                assert (found["reply_src_port"] == port).all()
                assert (found["family"] == (socket.AF_INET6 if version == "v6" else socket.AF_INET)).all()
            assert found["counted"].all()
            assert (found["start_ns"] > 0).all()
            assert (found["stop_ns"] >= found["start_ns"]).all()
            assert (np.abs(found["stop_ns"].astype(np.int64) - time.time_ns()) < 60e9).all()
    assert set(np.unique(ours["nsid"])) == {
        scene.namespaces.nsid_of(scene.client.inode),
        scene.namespaces.nsid_of(scene.server.inode),
    }
    assert (listener.lost(), listener.unreadable, listener.forged) == (0, 0, 0)


def test_counters_are_the_kernels(scene: Scene) -> None:
    _, target = ADDRESSES["v4"]
    listener = scene.listener()
    with traffic.UdpEcho(scene.server.path, target) as udp:
        traffic.udp_exchanges(scene.client.path, target, udp.port, 10, payload=b"x" * 100)
    flush(scene.client)
    records = settle(listener)
    nsid = scene.namespaces.nsid_of(scene.client.inode)
    found = records[(records["kind"] == MessageKind.DESTROY) & (records["protocol"] == 17) & (records["nsid"] == nsid)]
    assert len(found) == 10
    assert found["packets"].tolist() == found["reply_packets"].tolist() == [1] * 10
    assert found["bytes"].tolist() == found["reply_bytes"].tolist() == [128] * 10


def test_what_overruns_the_buffer_is_counted_exactly(scene: Scene) -> None:
    _, target = ADDRESSES["v4"]
    listener = scene.listener(receive_buffer=32768)
    process = os.getpid()
    generated = send(scene.client, target, range(20000, 20010), sources=500)
    table = scene.table(scene.client)
    other = scene.table(scene.server)
    made = int((table.dump()["protocol"] == 17).sum()) + int((other.dump()["protocol"] == 17).sum())
    assert made == 2 * generated
    records = settle(listener)
    assert listener.lost() > 4000
    assert int((records["protocol"] == 17).sum()) + listener.lost() == made
    assert os.getpid() == process
    # The stream goes on after the overrun, and the figure stands still.
    before = listener.lost()
    send(scene.client, target, [11])
    again = settle(listener)
    assert set(again[again["protocol"] == 17]["dst_port"].tolist()) == {11}
    assert listener.lost() == before
    listener.close()
    assert listener.lost() == before


def test_an_idle_listener_loses_nothing(scene: Scene) -> None:
    listener = scene.listener()
    assert len(listener.read(0.3)) == 0
    assert listener.lost() == 0


def test_a_connection_older_than_the_listener_reports_its_end(scene: Scene) -> None:
    """Why `nf_conntrack_events` is set to 1: on auto, what began while nobody listened ends in silence."""
    target = ADDRESSES["v4"][1]
    send(scene.client, target, [9])
    scene.client.sysctl(net__netfilter__nf_conntrack_events=2)
    send(scene.client, target, [10])
    listener = scene.listener()
    flush(scene.client)
    records = settle(listener)
    ended = records[(records["protocol"] == 17) & (records["kind"] == MessageKind.DESTROY)]
    assert 9 in ended["dst_port"].tolist()
    assert ended["counted"].all()


def test_namespaces_without_events_are_silent_and_nothing_counts_as_lost(scene: Scene) -> None:
    listener = scene.listener()
    scene.client.sysctl(net__netfilter__nf_conntrack_events=0)
    send(scene.client, ADDRESSES["v4"][1], [9])
    records = settle(listener)
    udp = records[records["protocol"] == 17]
    assert set(udp["nsid"].tolist()) == {scene.namespaces.nsid_of(scene.server.inode)}
    assert listener.lost() == 0


def test_a_dump_equals_the_table(scene: Scene) -> None:
    _, target = ADDRESSES["v6"]
    with traffic.TcpEcho(scene.server.path, target) as tcp, traffic.UdpEcho(scene.server.path, target) as udp:
        traffic.tcp_connections(scene.client.path, target, tcp.port, 120)
        traffic.udp_exchanges(scene.client.path, target, udp.port, 130)
        send(scene.client, ADDRESSES["v4"][1], [9])
    for namespace in (scene.client, scene.server):
        reader = scene.table(namespace, nsid=77)
        records = reader.dump()
        lines = [
            line
            for family in ("ipv4", "ipv6")
            for line in namespace.run("conntrack", "-L", "-f", family).splitlines()
            if line
        ]
        assert len(records) == len(lines) > 250
        assert set(records["kind"].tolist()) == {MessageKind.DUMP}
        assert set(records["nsid"].tolist()) == {77}
        assert set(records["family"].tolist()) == {socket.AF_INET, socket.AF_INET6}
        states = records[records["protocol"] == 6]["tcp_state"]
        assert set(states.tolist()) == {7}  # TIME_WAIT
        assert set(records[records["protocol"] == 17]["tcp_state"].tolist()) == {NO_TCP_STATE}
        assert (records["start_ns"] > 0).all()
        assert (reader.unreadable, reader.interrupted) == (0, False)
        reader.close()


def test_a_large_table_is_dumped_whole(scene: Scene) -> None:
    send(scene.client, ADDRESSES["v4"][1], range(30000, 30080), sources=100)
    reader = scene.table(scene.client)
    for _ in range(2):
        records = reader.dump()
        udp = records[records["protocol"] == 17]
        assert len(udp) == 8000
        assert len(np.unique(udp[["src_port", "dst_port"]])) == 8000


def test_zones_are_read_apart(scene: Scene) -> None:
    _, target = ADDRESSES["v4"]
    scene.client.run("iptables", "-t", "raw", "-A", "OUTPUT", "-p", "udp", "--dport", "7001", "-j", "CT", "--zone", "5")
    scene.client.run(
        "iptables", "-t", "mangle", "-A", "OUTPUT", "-p", "udp", "-j", "CONNMARK", "--set-xmark", "0x1200/0xffff00"
    )
    listener = scene.listener()
    send(scene.client, target, [7001, 7002])
    records = settle(listener)
    nsid = scene.namespaces.nsid_of(scene.client.inode)
    new = records[(records["kind"] == MessageKind.NEW) & (records["nsid"] == nsid) & (records["protocol"] == 17)]
    assert {int(row["dst_port"]): int(row["zone"]) for row in new} == {7001: 5, 7002: 0}
    assert set(new["mark"].tolist()) == {0x1200}
    reader = scene.table(scene.client)
    records = reader.dump()
    udp = records[records["protocol"] == 17]
    assert {int(row["dst_port"]): int(row["zone"]) for row in udp} == {7001: 5, 7002: 0}


def test_translation_shows_in_the_reply_tuple(scene: Scene) -> None:
    _, target = ADDRESSES["v4"]
    scene.client.run(
        "iptables", "-t", "nat", "-A", "OUTPUT", "-p", "udp", "-d", "198.51.100.7", "--dport", "53",
        "-j", "DNAT", "--to-destination", f"{target}:5353",
    )  # fmt: skip
    scene.client.run("ip", "route", "add", "198.51.100.0/24", "via", target)
    listener = scene.listener()
    send(scene.client, "198.51.100.7", [53])
    records = settle(listener)
    nsid = scene.namespaces.nsid_of(scene.client.inode)
    new = records[(records["kind"] == MessageKind.NEW) & (records["nsid"] == nsid) & (records["protocol"] == 17)]
    assert len(new) == 1
    assert (new["dst"][0].tobytes(), int(new["dst_port"][0])) == (packed("198.51.100.7"), 53)
    assert (new["reply_src"][0].tobytes(), int(new["reply_src_port"][0])) == (packed(target), 5353)
    assert int(new["status"][0]) & 0x20  # IPS_DST_NAT


def test_protocols_without_ports_are_read(scene: Scene) -> None:
    _, target = ADDRESSES["v4"]
    _, target6 = ADDRESSES["v6"]
    listener = scene.listener()
    echo = struct.pack(">BBHHH", 8, 0, 0xF7FF - 4660, 4660, 0)  # checksum: the words add up to 0xFFFF
    with open_raw(scene.client, 1) as raw:
        raw.sendto(echo, (target, 0))
    with inside(scene.client.path, lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)) as raw:
        raw.sendto(struct.pack(">BBHHH", 128, 0, 0, 4661, 1), (target6, 0))
    for protocol in (47, 132, 50, 200):
        with inside(
            scene.client.path, lambda number=protocol: socket.socket(socket.AF_INET, socket.SOCK_RAW, number)
        ) as raw:
            raw.sendto(bytes(32), (target, 0))
    records = settle(listener)
    nsid = scene.namespaces.nsid_of(scene.client.inode)
    new = records[(records["kind"] == MessageKind.NEW) & (records["nsid"] == nsid)]
    found = {int(row["protocol"]): row for row in new}
    assert {1, 58, 50, 200} <= found.keys()
    assert (int(found[1]["icmp_type"]), int(found[58]["icmp_type"])) == (8, 128)
    assert (int(found[1]["icmp_id"]), int(found[58]["icmp_id"])) == (4660, 4661)
    assert int(found[200]["src_port"]) == 0
    assert listener.unreadable == 0


def test_a_process_in_a_namespace_cannot_forge_events(scene: Scene) -> None:
    """Any process with CAP_NET_ADMIN in its own namespace may multicast to our group; the sender tells."""
    listener = scene.listener()
    addresses = nested(1, struct.pack("=HH4sHH4s", 8, 1, bytes([6, 6, 6, 6]), 8, 2, bytes([7, 7, 7, 7])))
    body = NFGENMSG.pack(socket.AF_INET, 0, 0) + addresses
    forger = run_in(str(scene.client.path), lambda: open_socket(NETLINK_NETFILTER))
    with forger, contextlib.suppress(ConnectionRefusedError):  # the kernel itself passes none on: nobody got it
        forger.sendto(message(NEW_TYPE, 0x600, 0, body), (0, 1))
    records = settle(listener)
    assert len(records[records["protocol"] == 17]) == 0
    assert (listener.forged, listener.unreadable) == (1, 0)


def test_a_nsid_taken_by_a_dead_namespace_serves_the_next(scene: Scene, fabric: Fabric) -> None:
    listener = scene.listener()
    second = tracked(fabric.namespace("second"))
    inode = scene.namespaces.watch(str(second.path))
    first_nsid = scene.namespaces.nsid_of(inode)
    send(second, "127.0.0.1", [1])
    seen = settle(listener)
    assert first_nsid in seen["nsid"].tolist()
    second.run("true")
    scene.namespaces.forget(inode)
    assert scene.namespaces.inode_of(first_nsid) is None
    scene.host.run("ip", "netns", "del", second.name)
    third = tracked(fabric.namespace("third"))

    # The kernel is made to give the very number of the dead namespace to the new one.
    def taken() -> bool:
        return scene.host.run("ip", "netns", "set", third.name, str(first_nsid), check=False) == ""

    wait_until("the dead namespace has gone", lambda: taken() and str(first_nsid) in scene.host.run("ip", "netns"))
    assert scene.namespaces.watch(str(third.path)) == third.inode
    assert scene.namespaces.nsid_of(third.inode) == first_nsid
    send(third, "127.0.0.1", [3])
    records = settle(listener)
    found = records[(records["protocol"] == 17) & (records["dst_port"] == 3)]
    assert scene.namespaces.inodes_of(found["nsid"]).tolist() == [third.inode]

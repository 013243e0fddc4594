"""Real denying rules: every logged packet is seen with its rule, or counted as lost."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest

from collector.columns import DENIED
from collector.denied import PACKET_TYPE, Denied
from collector.namespaces import run_in
from collector.netlink import NETLINK_NETFILTER, message, open_socket, port_of
from collector.nflog import DeniedListener, configuration
from ringfence.errors import Conflict
from ringfence.model.ruleset import LOG_GROUP, log_prefix
from ringfence.model.verdict import Direction
from tests.support.namespaces import Fabric, Namespace
from tests.support.sockets import inside, open_sockets

pytestmark = pytest.mark.root

V4, V6 = "127.0.0.1", "::1"


def deny(namespace: Namespace, number: int, *match: str, tool: str = "iptables", chain: str = "OUTPUT") -> None:
    direction = Direction.EGRESS if chain == "OUTPUT" else Direction.INGRESS
    prefix = log_prefix(number, direction)
    namespace.run(tool, "-A", chain, *match, "-j", "NFLOG", "--nflog-group", str(LOG_GROUP), "--nflog-prefix", prefix)
    namespace.run(tool, "-A", chain, *match, "-j", "DROP")


def logged(namespace: Namespace, tool: str = "iptables", chain: str = "OUTPUT") -> int:
    """Packets the NFLOG rules of a chain counted."""
    lines = namespace.run(tool, "-L", chain, "-v", "-x", "-n").splitlines()
    return sum(int(line.split()[0]) for line in lines if "NFLOG" in line)


def send(namespace: Namespace, address: str, port: int, count: int) -> None:
    with contextlib.ExitStack() as stack:
        (client,) = open_sockets(namespace.path, address, socket.SOCK_DGRAM, 1)
        stack.callback(client.close)
        for _ in range(count):
            with contextlib.suppress(PermissionError):
                client.sendto(b"denied", (address, port))


def settle(listener: DeniedListener) -> Denied:
    parts: list[Denied] = [np.zeros(0, DENIED)]
    last = time.monotonic()
    while time.monotonic() - last < 0.4:
        part = listener.read(0.1)
        if len(part):
            parts.append(part)
            last = time.monotonic()
    return np.concatenate(parts)


@pytest.fixture
def listener() -> Iterator[DeniedListener]:
    made = DeniedListener(receive_buffer=65536)
    yield made
    made.close()


@pytest.fixture
def namespace(fabric: Fabric) -> Namespace:
    made = fabric.namespace("denied")
    made.run("ip", "link", "set", "lo", "up")
    return made


def test_a_denied_packet_names_its_rule_and_its_tuple(namespace: Namespace, listener: DeniedListener) -> None:
    deny(namespace, 17, "-p", "udp", "--dport", "53")
    deny(namespace, 18, "-p", "tcp", "--dport", "80", chain="INPUT")
    deny(namespace, 4_000_000, "-p", "udp", "--dport", "53", tool="ip6tables")
    deny(namespace, 19, "-p", "icmp", "-m", "mark", "--mark", "5")
    namespace.run("iptables", "-t", "mangle", "-A", "OUTPUT", "-p", "icmp", "-j", "MARK", "--set-mark", "5")
    listener.watch(namespace.inode, str(namespace.path))
    listener.watch(namespace.inode, str(namespace.path))
    send(namespace, V4, 53, 3)
    send(namespace, V6, 53, 2)
    (client,) = open_sockets(namespace.path, V4, socket.SOCK_STREAM, 1)
    client.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        client.connect((V4, 80))
    source_port = client.getsockname()[1]
    client.close()
    raw = inside(namespace.path, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
    with raw, contextlib.suppress(PermissionError):
        raw.sendto(struct.pack(">BBHHH", 8, 3, 0xF7FC - 1, 1, 0), (V4, 0))
    records = settle(listener)
    by_rule = {number: records[records["rule"] == number] for number in (17, 18, 4_000_000, 19)}
    assert {number: len(rows) for number, rows in by_rule.items()} == {17: 3, 18: 1, 4_000_000: 2, 19: 1}
    assert set(records["netns"].tolist()) == {namespace.inode}
    four, six, tcp, icmp = by_rule[17][0], by_rule[4_000_000][0], by_rule[18][0], by_rule[19][0]
    assert (four["family"], four["protocol"], four["dst_port"], four["bytes"]) == (2, 17, 53, 34)
    assert four["src"].tobytes() == four["dst"].tobytes() == socket.inet_aton(V4).ljust(16, b"\0")
    assert (six["family"], six["dst_port"], six["bytes"], bool(six["ingress"])) == (10, 53, 54, False)
    assert six["dst"].tobytes() == socket.inet_pton(socket.AF_INET6, V6)
    assert (tcp["src_port"], tcp["dst_port"], tcp["tcp_flags"], bool(tcp["ingress"])) == (source_port, 80, 2, True)
    assert (icmp["icmp_type"], icmp["icmp_code"], icmp["mark"]) == (8, 3, 5)
    assert (np.abs(records["received_ns"].astype(np.int64) - time.time_ns()) < 60e9).all()
    assert (listener.lost(), listener.unreadable) == ({namespace.inode: 0}, 0)


def test_seen_and_lost_add_up_to_the_rule_counter(namespace: Namespace, listener: DeniedListener) -> None:
    deny(namespace, 20, "-p", "udp", "--dport", "99")
    listener.watch(namespace.inode, str(namespace.path))
    send(namespace, V4, 99, 20_000)
    flood = settle(listener)
    early = listener.lost()[namespace.inode]
    send(namespace, V4, 99, 1)  # the packet that shows the end of the gap
    after = settle(listener)
    lost = listener.lost()[namespace.inode]
    assert len(after) == 1
    assert lost > 1000
    assert 0 < early <= lost
    assert len(flood) + len(after) + lost == logged(namespace) == 20_001
    assert listener.lost() == {namespace.inode: lost}


def test_nothing_is_lost_while_we_read(namespace: Namespace, listener: DeniedListener) -> None:
    deny(namespace, 20, "-p", "udp", "--dport", "99")
    listener.watch(namespace.inode, str(namespace.path))
    seen = 0
    for _ in range(20):
        send(namespace, V4, 99, 100)
        seen += len(listener.read(0.05))
    seen += len(settle(listener))
    assert (seen, listener.lost()) == (2000, {namespace.inode: 0})


def test_prefixes_of_others_are_left_out(namespace: Namespace, listener: DeniedListener) -> None:
    group = str(LOG_GROUP)
    for prefix in ("somebody", "rf:x:1", "rf:e:"):
        namespace.run(
            "iptables", "-A", "OUTPUT", "-p", "udp", "-j", "NFLOG", "--nflog-group", group, "--nflog-prefix", prefix
        )
    namespace.run("iptables", "-A", "OUTPUT", "-p", "udp", "-j", "NFLOG", "--nflog-group", group)
    namespace.run("iptables", "-A", "OUTPUT", "-p", "udp", "-j", "NFLOG", "--nflog-prefix", "rf:e:5")
    listener.watch(namespace.inode, str(namespace.path))
    send(namespace, V4, 99, 5)
    assert len(settle(listener)) == 0
    assert (listener.lost(), listener.unreadable) == ({namespace.inode: 0}, 0)


def test_several_namespaces_are_told_apart_and_forgotten(fabric: Fabric, listener: DeniedListener) -> None:
    made = [fabric.namespace(f"n{number}") for number in range(3)]
    for number, namespace in enumerate(made):
        namespace.run("ip", "link", "set", "lo", "up")
        deny(namespace, 30 + number, "-p", "udp")
        listener.watch(namespace.inode, str(namespace.path))
    for number, namespace in enumerate(made):
        send(namespace, V4, 9, number + 1)
    records = settle(listener)
    counts = {namespace.inode: int((records["netns"] == namespace.inode).sum()) for namespace in made}
    assert counts == {namespace.inode: number + 1 for number, namespace in enumerate(made)}
    listener.forget(made[0].inode)
    listener.forget(made[0].inode)
    send(made[0], V4, 9, 5)
    assert len(settle(listener)) == 0
    assert listener.lost() == {namespace.inode: 0 for namespace in made}
    assert listener.lost() == {namespace.inode: 0 for namespace in made[1:]}
    listener.watch(made[0].inode, str(made[0].path))
    send(made[0], V4, 9, 5)
    assert len(settle(listener)) == 5


def test_a_group_in_use_is_a_conflict(namespace: Namespace, listener: DeniedListener) -> None:
    other = run_in(str(namespace.path), lambda: open_socket(NETLINK_NETFILTER))
    other.send(configuration(LOG_GROUP, 1))
    with pytest.raises(Conflict, match="another program reads NFLOG group"):
        listener.watch(namespace.inode, str(namespace.path))
    other.close()
    listener.watch(namespace.inode, str(namespace.path))


def test_a_process_in_the_namespace_cannot_forge_denials(namespace: Namespace, listener: DeniedListener) -> None:
    listener.watch(namespace.inode, str(namespace.path))
    table = namespace.run("cat", "/proc/net/netlink")
    ports = [int(line.split()[2]) for line in table.splitlines()[1:] if line.split()[1:3][0] == "12"]
    forger = run_in(str(namespace.path), lambda: open_socket(NETLINK_NETFILTER))
    for port in ports:
        if port not in (0, port_of(forger)):
            forger.sendto(message(PACKET_TYPE, 0, 0, b"\x02\0\0\0" + bytes(8)), (port, 0))
    forger.close()
    assert len(settle(listener)) == 0
    assert (listener.lost(), listener.unreadable) == ({namespace.inode: 0}, 0)

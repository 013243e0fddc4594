"""Namespaces come and go: each is known by one number while it lives, and nothing of it stays behind."""

from __future__ import annotations

import gc
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from collector import sysctl
from collector.dump import TableReader
from collector.layout import NEW_TYPE
from collector.namespaces import FIRST_NSID, Namespaces, run_in
from collector.netlink import NETLINK_NETFILTER, NFGENMSG, NLMSG_DONE, message, nested, open_socket, port_of
from collector.nflog import DeniedListener
from ringfence.errors import NotFound, RingfenceError
from tests.support.namespaces import Fabric, Namespace
from tests.support.wait import wait_until

pytestmark = pytest.mark.root


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def host(fabric: Fabric) -> Namespace:
    return fabric.namespace("host")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def namespaces(host: Namespace, clock: Clock) -> Iterator[Namespaces]:
    made = run_in(str(host.path), lambda: Namespaces(grace_seconds=2.0, clock=clock))
    yield made
    made.close()


def descriptors() -> int:
    gc.collect()  # what a failed test holds is not this one's
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - one more or less descriptor matters here


def test_a_watched_namespace_has_one_number(fabric: Fabric, namespaces: Namespaces) -> None:
    first, second = fabric.namespace("a"), fabric.namespace("b")
    assert namespaces.watch(str(first.path)) == first.inode
    assert namespaces.watch(str(second.path)) == second.inode
    assert namespaces.watch(str(first.path)) == first.inode
    numbers = [namespaces.nsid_of(first.inode), namespaces.nsid_of(second.inode)]
    assert numbers == [FIRST_NSID, FIRST_NSID + 1]
    column = np.array([numbers[1], -1, 5, numbers[0], numbers[1]], np.int32)
    own = namespaces.own_inode
    assert namespaces.inodes_of(column).tolist() == [second.inode, own, 0, first.inode, second.inode]
    assert set(namespaces.watched) == {first.inode, second.inode}


def test_a_number_given_by_others_is_kept(fabric: Fabric, host: Namespace, namespaces: Namespaces) -> None:
    made = fabric.namespace("a")
    host.run("ip", "netns", "set", made.name, "7")
    namespaces.watch(str(made.path))
    assert (namespaces.nsid_of(made.inode), namespaces.inode_of(7)) == (7, made.inode)


def test_a_number_in_use_is_not_taken(fabric: Fabric, host: Namespace, namespaces: Namespaces) -> None:
    other, made = fabric.namespace("other"), fabric.namespace("a")
    host.run("ip", "netns", "set", other.name, str(FIRST_NSID))
    namespaces.watch(str(made.path))
    assert namespaces.nsid_of(made.inode) == FIRST_NSID + 1


def test_our_own_namespace_is_minus_one(host: Namespace, namespaces: Namespaces) -> None:
    assert namespaces.own_inode == host.inode
    assert namespaces.watch(str(host.path)) == host.inode
    assert (namespaces.nsid_of(host.inode), namespaces.inode_of(-1)) == (-1, host.inode)
    assert namespaces.watched == ()
    namespaces.forget(host.inode)
    assert namespaces.inode_of(-1) == host.inode


def test_a_number_that_our_own_namespace_was_given_is_its_own(
    fabric: Fabric, host: Namespace, namespaces: Namespaces
) -> None:
    host.run("ip", "netns", "set", host.name, "9")
    namespaces.watch(str(fabric.namespace("a").path))
    assert (namespaces.nsid_of(host.inode), namespaces.inode_of(9), namespaces.inode_of(-1)) == (9, *[host.inode] * 2)


def test_a_forgotten_namespace_is_known_for_the_grace_period(
    fabric: Fabric, namespaces: Namespaces, clock: Clock
) -> None:
    made = fabric.namespace("a")
    inode = namespaces.watch(str(made.path))
    nsid = namespaces.nsid_of(inode)
    assert nsid is not None
    namespaces.forget(inode)
    assert namespaces.watched == ()
    clock.now += 1.9
    namespaces.expire()
    assert namespaces.inode_of(nsid) == inode
    clock.now += 0.2
    namespaces.expire()
    assert (namespaces.inode_of(nsid), namespaces.nsid_of(inode), namespaces.path_of(inode)) == (None, None, None)


def test_watching_again_in_the_grace_period_keeps_it(fabric: Fabric, namespaces: Namespaces, clock: Clock) -> None:
    made = fabric.namespace("a")
    inode = namespaces.watch(str(made.path))
    namespaces.forget(inode)
    namespaces.watch(str(made.path))
    clock.now += 10
    namespaces.expire()
    assert namespaces.watched == (inode,)


def test_a_dead_namespace_can_be_entered_while_it_is_watched(fabric: Fabric, namespaces: Namespaces) -> None:
    made = fabric.namespace("a")
    inode = namespaces.watch(str(made.path))
    fabric.namespace("helper").run("ip", "netns", "del", made.name)
    path = namespaces.path_of(inode)
    assert path is not None
    assert run_in(path, lambda: Path("/proc/thread-self/ns/net").stat().st_ino) == inode


@pytest.mark.parametrize("path", ["/proc/4194304/ns/net", "/run/netns/no-such", "/etc/hostname", "/proc/self/ns/uts"])
def test_what_is_not_a_namespace_is_not_found(namespaces: Namespaces, path: str) -> None:
    before = descriptors()
    with pytest.raises(NotFound):
        namespaces.watch(path)
    with pytest.raises(NotFound):
        run_in(path, lambda: None)
    assert descriptors() == before


def test_an_error_inside_is_raised_outside(host: Namespace) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_in(str(host.path), fail)


def test_sysctls_are_set_there_and_nowhere_else(fabric: Fabric, host: Namespace) -> None:
    made = fabric.namespace("a")
    before = sysctl.read(str(host.path))
    own = sysctl.read(None)
    assert not before.ready
    assert sysctl.prepare(str(made.path)).ready
    assert sysctl.read(str(made.path)).ready
    assert (sysctl.read(str(host.path)), sysctl.read(None)) == (before, own)


def test_the_former_sysctls_come_back(fabric: Fabric) -> None:
    names = [f"net.netfilter.{name}" for name in sysctl.SETTINGS]
    made = fabric.namespace("a")
    before = made.run("sysctl", *names)
    assert sysctl.prepare(str(made.path)).ready
    assert made.run("sysctl", *names) != before
    assert sysctl.restore({made.inode: str(made.path)}) == 1
    assert made.run("sysctl", *names) == before
    assert not (sysctl.MEMORY / str(made.inode)).exists()


def test_a_setting_that_cannot_be_put_back_keeps_none_of_the_others(fabric: Fabric) -> None:
    names = [f"net.netfilter.{name}" for name in sysctl.SETTINGS]
    broken, whole = fabric.namespace("broken"), fabric.namespace("whole")
    before = {made.inode: made.run("sysctl", *names) for made in (broken, whole)}
    for made in (broken, whole):
        assert sysctl.prepare(str(made.path)).ready
    memory = sysctl.MEMORY / str(broken.inode)
    former = memory.read_text()
    memory.write_text(json.dumps({**json.loads(former), "nf_conntrack_acct": "nonsense"}))
    spaces = {made.inode: str(made.path) for made in (broken, whole)}
    with pytest.raises(RingfenceError, match=f"namespace {broken.inode}: nf_conntrack_acct could not be set"):
        sysctl.restore(spaces)
    assert whole.run("sysctl", *names) == before[whole.inode]
    assert broken.run("sysctl", *names[1:]).splitlines() == before[broken.inode].splitlines()[1:]
    memory.write_text(former)
    assert sysctl.restore(spaces) == 1, "what could not be put back is tried again"
    assert broken.run("sysctl", *names) == before[broken.inode]


def test_two_hundred_namespaces_leave_nothing(fabric: Fabric, host: Namespace) -> None:
    namespaces = run_in(str(host.path), lambda: Namespaces(grace_seconds=0))
    listener = DeniedListener()
    before = descriptors(), threading.active_count()
    helper = fabric.namespace("helper")
    nsids = set()
    for number in range(10):
        names = [f"{helper.name}c{number}x{rank}" for rank in range(20)]
        helper.run("sh", "-c", " && ".join(f"ip netns add {name}" for name in names))
        try:
            inodes = [namespaces.watch(f"/run/netns/{name}") for name in names]
            assert len(set(inodes)) == 20
            for inode, name in zip(inodes, names, strict=True):
                listener.watch(inode, f"/run/netns/{name}")
            nsids |= {namespaces.nsid_of(inode) for inode in inodes}
        finally:
            helper.run("sh", "-c", "; ".join(f"ip netns del {name}" for name in names))
        assert len(listener.read(0)) == 0
        for inode in inodes:
            listener.forget(inode)
            namespaces.forget(inode)
        listener.lost()
    assert (descriptors(), threading.active_count()) == before
    assert len(nsids) == 200
    wait_until("the kernel has let them go", lambda: host.run("ip", "netns", "list-id") == "", seconds=20)
    listener.close()
    namespaces.close()
    namespaces.close()


def test_a_process_in_a_namespace_cannot_forge_its_table(host: Namespace) -> None:
    """Not even one who knows the number of the next request."""
    reader = TableReader(str(host.path))
    expected = len(reader.dump())
    addresses = nested(1, struct.pack("=HH4sHH4s", 8, 1, bytes([6, 6, 6, 6]), 8, 2, bytes([7, 7, 7, 7])))
    entry = message(NEW_TYPE, 0, reader._sequence + 1, NFGENMSG.pack(socket.AF_INET, 0, 0) + addresses)
    forger = run_in(str(host.path), lambda: open_socket(NETLINK_NETFILTER))
    for part in (entry, message(NLMSG_DONE, 0, reader._sequence + 1, bytes(4))):
        forger.sendto(part, (port_of(reader._link), 0))
    forger.close()
    found = len(reader.dump()) + reader.unreadable
    reader.close()
    assert found == expected

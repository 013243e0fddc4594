"""A quarantine against packet sockets: frames are stopped at the outer end, or the proof says that they are not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from collector.docker import DockerWatcher
from collector.inventory import Inventory
from enforcer.clean import clean
from enforcer.kernel import SystemKernel
from enforcer.reconcile import Enforcer
from ringfence.clock import utc_now
from ringfence.config import Enforce
from ringfence.model.quarantine import Check, Quarantine, QuarantineState
from ringfence.model.verdict import Direction
from ringfence.model.workload import Workload
from tests.support.containers import Container
from tests.support.frames import Frames, datagram
from tests.support.kernel_agreement import CLIENT, TCP, UDP, WORKLOAD, Pair
from tests.support.lab import Lab, LabHost
from tests.support.namespaces import Fabric, Namespace
from tests.support.require import require
from tests.support.rulesets import access, quarantine, ruleset, service, workload
from tests.support.traffic import Probe, TcpEcho, probe_tcp
from tests.support.wait import wait_until

pytestmark = pytest.mark.root
OUTSIDE, INNER, OUTER = "w0a", "w1a", "w1p"
SHORTEST = 60


@pytest.fixture
def switch(fabric: Fabric) -> Namespace:
    return fabric.switch()


@pytest.fixture
def pair(fabric: Fabric, switch: Namespace) -> Pair:
    """Both on one bridge, as containers are: a packet socket at the outer end itself sees what is dropped there."""
    require("iptables", "ip6tables", "ipset", "conntrack", "ss", "tc")
    client, target = fabric.namespace("cl"), fabric.namespace("wl")
    for end, addresses in ((client, CLIENT), (target, WORKLOAD)):
        fabric.plug(end, switch, f"{addresses[0]}/24", f"{addresses[1]}/64")
    return Pair(client, target)


def held(pair: Pair) -> tuple[Enforcer, Workload]:
    enforcer = Enforcer(Enforce(), host="h", clock=utc_now, kernel=pair.kernel, report=lambda _: None)
    target = workload(pair.netns)
    enforcer.desire([target], {target.id: ruleset()})
    enforcer.reconcile()
    return enforcer, target


def check_of(done: Quarantine) -> Check:
    assert done.proof is not None
    return next(item for item in done.proof.checks if item.name == "packet sockets")


def filters(switch: Namespace) -> list[object]:
    texts = [switch.run("tc", "-j", "filter", "show", "dev", OUTER, way) for way in ("ingress", "egress")]
    return [item for text in texts for item in json.loads(text or "[]")]


@pytest.fixture
def ends(pair: Pair) -> Iterator[tuple[Frames, Frames]]:
    """Packet sockets outside and inside; the inner one sends past the queues of its interface."""
    with (
        Frames(pair.client.path, OUTSIDE) as outside,
        Frames(pair.workload.path, INNER, bypass=True) as within,
    ):
        yield outside, within


def between(outside: Frames, within: Frames, version: int, port: int = 5353) -> tuple[bytes, bytes]:
    """A datagram out of the workload and its answer."""
    here = (within.address, WORKLOAD[version == 6], 4444)
    there = (outside.address, CLIENT[version == 6], port)
    return datagram(here, there, b"question"), datagram(there, here, b"answer")


@pytest.mark.parametrize("version", [4, 6])
def test_frames_pass_neither_way_and_both_again_after_the_release(
    pair: Pair, switch: Namespace, ends: tuple[Frames, Frames], version: int
) -> None:
    outside, within = ends
    question, answer = between(outside, within, version)
    enforcer, target = held(pair)
    within.send(question)
    assert outside.holds(b"question"), "the policy's own rules do not see it"
    order = enforcer.order(target, quarantine(target))
    assert order.state is QuarantineState.VERIFIED, order.proof
    assert f"{INNER} at {OUTER}" in check_of(order).detail
    for frame in (question, b"\xff" * 6 + question[6:12] + b"\x88\xb5" + b"question", question[:14] + b"question"):
        within.send(frame)
    assert not outside.holds(b"question")
    outside.send(answer)
    assert not within.holds(b"answer")
    enforcer.release(order)
    assert "clsact" not in switch.run("tc", "qdisc", "show", "dev", OUTER)
    within.send(question)
    assert outside.holds(b"question")


@pytest.mark.parametrize("version", [4, 6])
def test_controlled_access_passes_and_nothing_else(pair: Pair, ends: tuple[Frames, Frames], version: int) -> None:
    outside, within = ends
    enforcer, target = held(pair)
    network = f"{CLIENT[version == 6]}/{32 if version == 4 else 128}"
    grants = [access(Direction.INGRESS, network, service(TCP, 22)), access(Direction.EGRESS, network, service(UDP, 53))]
    order = enforcer.order(target, quarantine(target, *grants))
    assert check_of(order).passed, check_of(order)
    pair.workload.run("ip", "neigh", "flush", "all")
    pair.client.run("ip", "neigh", "flush", "all")
    with TcpEcho(pair.workload.path, WORKLOAD[version == 6], 22):
        assert probe_tcp(pair.client.path, WORKLOAD[version == 6], 22, timeout=3) is Probe.OPEN
    question, answer = between(outside, within, version, port=53)
    within.send(question)
    assert outside.holds(b"question")
    outside.send(answer)
    assert within.holds(b"answer")
    refused, _ = between(outside, within, version, port=54)
    within.send(refused)
    cut_short = question[: 34 if version == 4 else 54]
    within.send(cut_short + b"question"[:3])
    within.send(question[:14] + b"question")
    arp = b"\xff" * 6 + question[6:12] + b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01"
    within.send(arp.ljust(SHORTEST, b"\x00") + b"question")
    assert not outside.holds(b"que")


def test_filters_taken_away_are_put_back(pair: Pair, switch: Namespace, ends: tuple[Frames, Frames]) -> None:
    outside, within = ends
    enforcer, target = held(pair)
    order = enforcer.order(target, quarantine(target))
    enforcer.start()
    try:
        time.sleep(0.3)
        switch.run("tc", "qdisc", "del", "dev", OUTER, "clsact")
        wait_until("the filters stand again", lambda: len(filters(switch)) == 4)
        within.send(between(outside, within, 4)[0])
        assert not outside.holds(b"question")
    finally:
        enforcer.stop()
    enforcer.release(order)


def test_others_filters_stay_and_clean_removes_ours(pair: Pair, switch: Namespace, ends: tuple[Frames, Frames]) -> None:
    switch.run("tc", "qdisc", "add", "dev", OUTER, "clsact")
    theirs = ["prio", "7", "protocol", "all", "bpf", "da", "bytecode", "1,6 0 0 0"]
    switch.run("tc", "filter", "add", "dev", OUTER, "ingress", *theirs)
    before = filters(switch)
    enforcer, target = held(pair)
    enforcer.order(target, quarantine(target))
    assert filters(switch) != before
    assert clean(pair.kernel, [pair.netns]) == 1
    assert filters(switch) == before


def test_without_a_packet_socket_or_the_right_to_one_nothing_is_put_outside(pair: Pair, switch: Namespace) -> None:
    enforcer, target = held(pair)
    order = enforcer.order(target, quarantine(target))
    assert order.state is QuarantineState.VERIFIED, order.proof
    assert filters(switch) == []


def isolated(lab_host: LabHost, container: Container) -> Quarantine:
    """The container's quarantine, as the inventory and the enforcer of its host carry it out."""
    inventory = Inventory()
    watcher = DockerWatcher(lab_host.url, lab_host.name, inventory, relist_seconds=60)
    watcher.start()
    try:
        target = wait_until("it is known", lambda: inventory.get(container.id))
    finally:
        watcher.stop()
    enforcer = Enforcer(Enforce(), host="h", clock=utc_now, kernel=SystemKernel(Enforce()), report=lambda _: None)
    enforcer.desire([target], {})
    done = enforcer.order(target, quarantine(target))
    enforcer.release(done)
    return done


@pytest.mark.docker
def test_a_container_with_the_engines_usual_rights_is_verified_on_a_bridge(lab_host: LabHost) -> None:
    done = isolated(lab_host, lab_host.run("web", network=lab_host.network("shop")))
    assert done.state is QuarantineState.VERIFIED, done.proof
    assert "CAP_NET_RAW" in check_of(done).detail
    assert "eth0 at veth" in check_of(done).detail


@pytest.mark.docker
def test_a_macvlan_is_verified_only_without_the_right_to_packet_sockets(lab_pair: Lab) -> None:
    host, lan = lab_pair.host, lab_pair.macvlan("lan")
    done = isolated(host, host.run("usual", network=lan))
    assert done.state is QuarantineState.PARTIAL
    assert "macvlan" in check_of(done).detail
    bare = isolated(host, host.run("bare", network=lan, dropped=("NET_RAW",)))
    assert bare.state is QuarantineState.VERIFIED, bare.proof


@pytest.mark.docker
def test_on_an_overlay_the_outer_end_is_found_inside_it(lab_pair: Lab) -> None:
    host = lab_pair.host
    done = isolated(host, host.run("one", network=host.network("over", driver="overlay")))
    assert done.state is QuarantineState.VERIFIED, done.proof

"""Quarantine of real namespaces: what runs is cut, nothing new gets through, release restores what was there."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from enforcer.clean import clean
from enforcer.kernel import SystemKernel
from enforcer.netns import Netns
from enforcer.reconcile import Enforcer
from ringfence.clock import utc_now
from ringfence.config import Enforce
from ringfence.model.enforcement import Drift, Enforcement, EnforcementState
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.model.ruleset import Ruleset
from ringfence.model.verdict import Direction
from ringfence.model.workload import Containment, Workload
from tests.support.kernel_agreement import CLIENT, TCP, UDP, WORKLOAD, Attempt, Pair
from tests.support.namespaces import Fabric, Namespace
from tests.support.require import require
from tests.support.rulesets import DENY_ALL, access, address_set, quarantine, rule, ruleset, service, workload
from tests.support.sockets import inside, open_socket
from tests.support.streams import DatagramStream, Download
from tests.support.traffic import Probe, TcpEcho, UdpEcho, probe_tcp, probe_udp
from tests.support.wait import wait_until

pytestmark = pytest.mark.root
Reported = list[Enforcement | Drift | Quarantine]
OPEN = ruleset(sets=[address_set("unused", "192.0.2.0/24")])
STRICT = ruleset([rule(16, True, "peers", service(TCP, 80)), DENY_ALL], sets=[address_set("peers", "10.0.0.0/8")])
MATRIX = [
    *(Attempt(d, v, p, 80) for d in Direction for v in (4, 6) for p in (TCP, UDP)),
    *(Attempt(d, v, 1 if v == 4 else 58) for d in Direction for v in (4, 6)),
]


class CutDownload(Download):
    """A download whose client may be told that its connection is gone."""

    def _expected(self, error: OSError) -> bool:
        return True


@pytest.fixture
def pair(fabric: Fabric) -> Pair:
    require("iptables", "ip6tables", "ipset", "conntrack", "ss")
    return Pair.wired(fabric)


def enforcer_for(pair: Pair, reported: Reported) -> Enforcer:
    return Enforcer(Enforce(), host="h", clock=utc_now, kernel=pair.kernel, report=reported.append)


def desired(pair: Pair, wanted: Ruleset = OPEN, reported: Reported | None = None) -> tuple[Enforcer, Workload]:
    """An enforcer that holds `wanted` for the pair's workload."""
    enforcer, target = enforcer_for(pair, [] if reported is None else reported), workload(pair.netns)
    enforcer.desire([target], {target.id: wanted})
    enforcer.reconcile()
    return enforcer, target


def saved(namespace: Namespace) -> str:
    texts = [namespace.run(*command) for command in (("iptables-save",), ("ip6tables-save",), ("ipset", "save"))]
    return re.sub(r"\[\d+:\d+\]|^#.*$", "", "\n".join(texts), flags=re.MULTILINE)


STREAMS: dict[str, Callable[[Pair, int], Download | DatagramStream]] = {
    "a download by the workload": lambda pair, v: CutDownload(pair.workload.path, pair.client.path, CLIENT[v]),
    "a download from the workload": lambda pair, v: CutDownload(pair.client.path, pair.workload.path, WORKLOAD[v]),
    "datagrams it sends": lambda pair, v: DatagramStream(pair.workload.path, pair.client.path, CLIENT[v]),
    "datagrams it receives": lambda pair, v: DatagramStream(pair.client.path, pair.workload.path, WORKLOAD[v]),
}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS.keys())
def test_what_runs_stops_within_a_second(
    pair: Pair, make: Callable[[Pair, int], Download | DatagramStream], version: int
) -> None:
    enforcer, target = desired(pair)
    with make(pair, version == 6) as stream:
        wait_until("the stream runs", lambda: stream.received > 0)
        ordered = time.monotonic()
        done = enforcer.order(target, quarantine(target))
        received = stream.received
        assert done.state is QuarantineState.VERIFIED, done.proof
        time.sleep(0.5)
        assert stream.received == received, "nothing more arrives after the order was carried out"
        assert stream.last_received - ordered < 1.0
        assert done.connections_cut == 1


def test_nothing_gets_through_in_either_direction_or_family(pair: Pair) -> None:
    enforcer, target = desired(pair)
    enforcer.order(target, quarantine(target))
    outcomes = pair.outcomes(MATRIX)
    assert {attempt for attempt, outcome in outcomes.items() if "DROP" not in outcome} == set()


def test_the_fake_agrees_on_a_quarantine(pair: Pair) -> None:
    order = quarantine(workload(pair.netns), access(Direction.INGRESS, "10.9.0.0/24", service(TCP, 80)))
    assert pair.disagreements(OPEN, MATRIX, order) == []


def test_the_proof_names_what_was_seen(pair: Pair) -> None:
    enforcer, target = desired(pair)
    proof = enforcer.order(target, quarantine(target)).proof
    assert proof is not None
    assert [check.name for check in proof.checks] == [
        "rules read back",
        "position",
        "packet sockets",
        "connections cut",
        "probe from inside",
        "drop counters",
    ]


def test_only_controlled_access_gets_through(pair: Pair) -> None:
    enforcer, target = desired(pair)
    forensics = [access(Direction.INGRESS, network, service(TCP, 22)) for network in ("10.9.0.1/32", "fd09::1/128")]
    enforcer.order(target, quarantine(target, *forensics))
    for address in WORKLOAD:
        with TcpEcho(pair.workload.path, address, 22), TcpEcho(pair.workload.path, address, 80):
            assert probe_tcp(pair.client.path, address, 22, timeout=3) is Probe.OPEN
            assert probe_tcp(pair.client.path, address, 80, timeout=0.3) is Probe.TIMEOUT
    with (
        TcpEcho(pair.client.path, CLIENT[0], 22),
        open_socket(pair.workload.path, CLIENT[0], socket.SOCK_STREAM) as out,
    ):
        out.bind((WORKLOAD[0], 22))
        out.settimeout(0.5)
        with pytest.raises(OSError, match=r"timed out|not permitted"):
            out.connect((CLIENT[0], 22))


def test_its_own_loopback_stays_but_dockers_resolver_does_not(pair: Pair) -> None:
    enforcer, target = desired(pair)
    enforcer.order(target, quarantine(target))
    with (
        UdpEcho(pair.workload.path, "127.0.0.11", 53),
        UdpEcho(pair.workload.path, "127.0.0.1", 53),
        UdpEcho(pair.workload.path, "::1", 53),
    ):
        assert probe_udp(pair.workload.path, "127.0.0.11", 53, timeout=0.3) is not Probe.OPEN
        assert probe_udp(pair.workload.path, "127.0.0.1", 53) is Probe.OPEN
        assert probe_udp(pair.workload.path, "::1", 53) is Probe.OPEN


def test_a_second_address_does_not_help(pair: Pair) -> None:
    enforcer, target = desired(pair)
    enforcer.order(target, quarantine(target))
    pair.workload.run("ip", "address", "add", "10.9.0.77/24", "dev", "w0b")
    with TcpEcho(pair.client.path, CLIENT[0], 80), TcpEcho(pair.workload.path, "10.9.0.77", 80):
        assert probe_tcp(pair.client.path, "10.9.0.77", 80, timeout=0.3) is Probe.TIMEOUT
        with open_socket(pair.workload.path, CLIENT[0], socket.SOCK_STREAM) as out:
            out.bind(("10.9.0.77", 0))
            out.settimeout(0.5)
            with pytest.raises(OSError, match=r"timed out|not permitted"):
                out.connect((CLIENT[0], 80))


def test_a_workload_that_forwards_for_others_forwards_nothing(pair: Pair, fabric: Fabric) -> None:
    behind = fabric.namespace("behind")
    fabric.wire(pair.workload, behind, ["10.8.0.1/24"], ["10.8.0.2/24"])
    behind.run("ip", "route", "add", "10.9.0.0/24", "via", "10.8.0.1")
    pair.client.run("ip", "route", "add", "10.8.0.0/24", "via", WORKLOAD[0])
    pair.workload.sysctl(net__ipv4__ip_forward=1)
    enforcer, target = desired(pair)
    with TcpEcho(behind.path, "10.8.0.2", 80):
        assert probe_tcp(pair.client.path, "10.8.0.2", 80) is Probe.OPEN
        enforcer.order(target, quarantine(target))
        assert probe_tcp(pair.client.path, "10.8.0.2", 80, timeout=0.3) is Probe.TIMEOUT


@pytest.mark.parametrize(
    "wanted",
    [
        OPEN,
        ruleset([rule(16, True, "peers", service(TCP, 80)), DENY_ALL], sets=[address_set("peers", "10.0.0.0/8")]),
    ],
    ids=["open", "strict"],
)
def test_release_restores_what_was_there_byte_for_byte(pair: Pair, wanted: Ruleset) -> None:
    pair.workload.run("iptables", "-A", "OUTPUT", "-p", "tcp", "--dport", "7", "-j", "DROP")
    enforcer, target = desired(pair, wanted)
    before = saved(pair.workload)
    order = enforcer.order(target, quarantine(target, access(Direction.INGRESS, "fd09::/64", service(TCP, 22))))
    assert saved(pair.workload) != before
    released = enforcer.release(replace(order, released_by="tester"))
    assert saved(pair.workload) == before
    assert (released.state, released.released_by) == (QuarantineState.RELEASED, "tester")
    with TcpEcho(pair.workload.path, WORKLOAD[0], 80):
        assert probe_tcp(pair.client.path, WORKLOAD[0], 80) is Probe.OPEN


def test_a_restart_without_memory_keeps_it_and_proves_it_again(pair: Pair) -> None:
    enforcer, target = desired(pair)
    order = enforcer.order(target, quarantine(target))
    held = saved(pair.workload)
    reported: Reported = []
    again = enforcer_for(pair, reported)
    again.restore([order])
    again.desire([target], {target.id: OPEN})
    again.reconcile()
    assert saved(pair.workload) == held
    proven = [item for item in reported if isinstance(item, Quarantine)]
    assert [item.state for item in proven] == [QuarantineState.VERIFIED]


def test_before_anything_is_desired_a_restarted_workload_is_isolated_too(pair: Pair) -> None:
    reported: Reported = []
    again, target = enforcer_for(pair, reported), workload(pair.netns)
    again.restore([quarantine(target, state=QuarantineState.VERIFIED)])
    again.notice([target])
    again.reconcile()
    assert [item.state for item in reported if isinstance(item, Quarantine)] == [QuarantineState.VERIFIED]
    with TcpEcho(pair.workload.path, WORKLOAD[0], 80):
        assert probe_tcp(pair.client.path, WORKLOAD[0], 80, timeout=0.3) is not Probe.OPEN


def test_a_new_namespace_of_the_same_workload_is_isolated_too(pair: Pair) -> None:
    reported: Reported = []
    enforcer, target = desired(pair, reported=reported)
    order = enforcer.order(target, quarantine(target))
    moved = replace(
        target,
        netns=pair.client.inode,
        netns_path=str(pair.client.path),
        started=target.started + timedelta(minutes=1),
    )
    enforcer.desire([moved], {moved.id: OPEN})
    enforcer.reconcile()
    with TcpEcho(pair.client.path, CLIENT[0], 80):
        assert probe_tcp(pair.workload.path, CLIENT[0], 80, timeout=0.3) is not Probe.OPEN
    assert [item.id for item in reported if isinstance(item, Quarantine)] == [order.id]


def test_whoever_shares_the_namespace_is_isolated_with_it(pair: Pair) -> None:
    enforcer = enforcer_for(pair, [])
    owner = workload(pair.netns, id="owner")
    guest = workload(pair.netns, id="guest", started=owner.started + timedelta(seconds=1))
    enforcer.desire([guest, owner], {owner.id: OPEN})
    enforcer.reconcile()
    states = {item.workload: item for item in enforcer.statuses()}
    assert "shares the namespace of owner" in states["guest"].reason
    order = enforcer.order(guest, quarantine(guest))
    assert order.state is QuarantineState.VERIFIED
    with TcpEcho(pair.workload.path, WORKLOAD[0], 80):
        assert probe_tcp(pair.client.path, WORKLOAD[0], 80, timeout=0.3) is Probe.TIMEOUT
        enforcer.release(order)
        assert probe_tcp(pair.client.path, WORKLOAD[0], 80) is Probe.OPEN


def test_what_could_undo_its_rules_is_never_called_verified(pair: Pair) -> None:
    enforcer = enforcer_for(pair, [])
    target = workload(pair.netns, containment=Containment.HOST_SIDE)
    enforcer.desire([target], {target.id: OPEN})
    enforcer.reconcile()
    assert enforcer.statuses()[0].state is EnforcementState.NOT_CONTAINABLE
    done = enforcer.order(target, quarantine(target))
    assert done.state is QuarantineState.PARTIAL
    assert done.proof is not None
    assert "CAP_NET_ADMIN" in next(check.detail for check in done.proof.checks if not check.passed)


def test_an_order_for_a_namespace_that_is_gone_has_failed(pair: Pair) -> None:
    enforcer = enforcer_for(pair, [])
    target = workload(Netns(inode=1, path="/nowhere"))
    assert enforcer.order(target, quarantine(target)).state is QuarantineState.FAILED


def test_with_the_enforcer_running_an_order_is_told_once_and_a_release_has_the_last_word(pair: Pair) -> None:
    reported: Reported = []
    enforcer, target = desired(pair, reported=reported)
    enforcer.start()
    try:
        for number in range(5):
            with CutDownload(pair.workload.path, pair.client.path, CLIENT[0]) as stream:
                wait_until("the download runs", lambda: stream.received > 0)
                done = enforcer.order(target, quarantine(target, id=f"q{number}"))
            assert (done.state, done.connections_cut) == (QuarantineState.VERIFIED, 1), done.proof
            assert enforcer.release(done).state is QuarantineState.RELEASED
        time.sleep(0.3)
        assert [item for item in reported if isinstance(item, Quarantine)] == []
    finally:
        enforcer.stop()


def test_a_session_of_the_controlled_access_outlives_the_proof_and_every_one_after_it(pair: Pair) -> None:
    enforcer, target = desired(pair)
    forensics = access(Direction.INGRESS, "10.9.0.1/32", service(TCP, 22))
    with inside(pair.workload.path, lambda: socket.create_server((WORKLOAD[0], 22))) as listener:
        client = open_socket(pair.client.path, CLIENT[0], socket.SOCK_STREAM)
        client.connect((WORKLOAD[0], 22))
        server, _ = listener.accept()
        with client, server, DatagramStream(pair.client.path, pair.workload.path, WORKLOAD[0]) as other:
            wait_until("another stream runs", lambda: other.received > 0)
            for number in range(2):
                done = enforcer.order(target, quarantine(target, forensics, id=f"q{number}"))
                assert done.state is QuarantineState.VERIFIED, done.proof
                client.settimeout(3)
                client.sendall(b"question")
                assert server.recv(64) == b"question"
                server.sendall(b"answer")
                assert client.recv(64) == b"answer"


def test_a_granted_neighbour_is_not_what_the_probe_tries(pair: Pair) -> None:
    enforcer, target = desired(pair)
    done = enforcer.order(target, quarantine(target, access(Direction.EGRESS, "10.9.0.1/32", service())))
    assert done.state is QuarantineState.VERIFIED, done.proof


def test_a_gateway_on_the_link_is_tried_where_there_is_no_network(pair: Pair) -> None:
    for family, device in (("-4", "w0b"), ("-6", "w0b")):
        pair.workload.run("ip", family, "address", "flush", "dev", device)
    pair.workload.run("ip", "address", "add", "10.9.0.2/32", "dev", "w0b")
    pair.workload.run("ip", "route", "add", "169.254.1.1", "dev", "w0b", "scope", "link")
    pair.workload.run("ip", "route", "add", "default", "via", "169.254.1.1")
    enforcer, target = desired(pair)
    done = enforcer.order(target, quarantine(target))
    assert done.state is QuarantineState.VERIFIED, done.proof
    assert done.proof is not None
    assert "169.254.1.1" in next(check.detail for check in done.proof.checks if check.name == "probe from inside")


def test_an_interface_that_cannot_be_tried_is_partial(pair: Pair) -> None:
    for family in ("-4", "-6"):
        pair.workload.run("ip", family, "address", "flush", "dev", "w0b")
    pair.workload.run("ip", "address", "add", "10.9.0.2/32", "dev", "w0b")
    enforcer, target = desired(pair)
    assert enforcer.order(target, quarantine(target)).state is QuarantineState.PARTIAL


def test_a_ruleset_that_cannot_be_expressed_does_not_keep_it_reachable(pair: Pair) -> None:
    enforcer, target = desired(pair)
    enforcer.desire([target], {target.id: ruleset([rule(1 << 20, True)])})
    done = enforcer.order(target, quarantine(target))
    assert done.state is QuarantineState.VERIFIED, done.proof
    with TcpEcho(pair.workload.path, WORKLOAD[0], 80):
        assert probe_tcp(pair.client.path, WORKLOAD[0], 80, timeout=0.3) is Probe.TIMEOUT


@pytest.mark.parametrize(("before", "after"), [("nft", "legacy"), ("legacy", "nft")])
def test_what_the_other_backend_holds_is_taken_away(pair: Pair, before: str, after: str) -> None:
    require("iptables-nft", "iptables-legacy")
    pair.kernel = SystemKernel(Enforce(backend=before))
    enforcer, target = desired(pair, STRICT)
    order = enforcer.order(target, quarantine(target))
    pair.kernel = SystemKernel(Enforce(backend=after))
    again = enforcer_for(pair, [])
    again.restore([order])
    again.desire([target], {target.id: STRICT})
    again.reconcile()
    for program in ("iptables", "ip6tables"):
        assert "RINGFENCE" not in pair.workload.run(f"{program}-{before}-save")
        assert "RINGFENCE" in pair.workload.run(f"{program}-{after}-save")
    again.release(order)
    with TcpEcho(pair.workload.path, WORKLOAD[0], 80):
        assert probe_tcp(pair.client.path, WORKLOAD[0], 80) is Probe.OPEN
    assert clean(SystemKernel(Enforce(backend=before)), [pair.netns]) == 1
    assert "RINGFENCE" not in pair.workload.run(f"iptables-{after}-save")
    assert "ringfence" not in pair.workload.run("ipset", "save")


def test_clean_leaves_what_only_begins_like_ours(pair: Pair) -> None:
    pair.workload.run("ipset", "create", "ringfence-admin-allow", "hash:net")
    pair.workload.run("iptables", "-N", "RINGFENCE-ADMIN")
    pair.workload.run("iptables", "-A", "INPUT", "-j", "RINGFENCE-ADMIN")
    desired(pair, STRICT)
    clean(pair.kernel, [pair.netns])
    assert "ringfence-admin-allow" in saved(pair.workload)
    assert "-A INPUT -j RINGFENCE-ADMIN" in saved(pair.workload)
    assert "RINGFENCE-IN" not in saved(pair.workload)

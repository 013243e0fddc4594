"""Rulesets in real namespaces: what they let through, how they are written, and what cannot break them."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from enforcer.change import plan_change
from enforcer.clean import clean
from enforcer.iptables import run
from enforcer.kernel import SystemKernel
from enforcer.names import IN, OUT, Family
from enforcer.netns import NamespaceGone, Netns
from enforcer.place import Place
from enforcer.plan import namespace_plan
from enforcer.reconcile import Enforcer
from ringfence.clock import utc_now
from ringfence.config import Enforce
from ringfence.errors import EnforcementFailed
from ringfence.model.ruleset import Ruleset, RulesetRule
from ringfence.model.verdict import Direction
from tests.support.kernel_agreement import CLIENT, MASK, TCP, UDP, WORKLOAD, Attempt, Pair
from tests.support.namespaces import Fabric
from tests.support.require import require
from tests.support.rulesets import ALLOW_ALL, DENY_ALL, address_set, quarantine, rule, ruleset, service, workload
from tests.support.sockets import open_socket
from tests.support.traffic import Probe, TcpEcho, probe_tcp

pytestmark = pytest.mark.root
PORTS = (53, 80)
MATRIX = [
    *(Attempt(d, v, p, port) for d in Direction for v in (4, 6) for p in (TCP, UDP) for port in PORTS),
    *(Attempt(d, v, 1 if v == 4 else 58) for d in Direction for v in (4, 6)),
]
PEERS = address_set("peers", "10.9.0.0/24", "fd09::/64")
NOBODY = address_set("nobody")


@pytest.fixture
def pair(fabric: Fabric) -> Pair:
    require("iptables", "ip6tables", "ipset", "conntrack", "ss")
    return Pair.wired(fabric)


def saved(pair: Pair) -> str:
    """Rules and sets as text, without counters and the date."""
    texts = [pair.workload.run(*command) for command in (("iptables-save",), ("ip6tables-save",), ("ipset", "save"))]
    return re.sub(r"\[\d+:\d+\]|^#.*$|initval \S+", "", "\n".join(texts), flags=re.MULTILINE)


RULESETS = {
    "nothing is let in": ruleset([DENY_ALL]),
    "one port for one peer": ruleset([rule(16, True, "peers", service(6, 80)), DENY_ALL], sets=[PEERS]),
    "an empty set matches nobody": ruleset([rule(16, True, "nobody", service()), DENY_ALL], sets=[NOBODY]),
    "everyone but a peer": ruleset([rule(16, True, None, not_peers="peers"), DENY_ALL], sets=[PEERS]),
    "everyone but nobody": ruleset([rule(16, True, None, not_peers="nobody"), DENY_ALL], sets=[NOBODY]),
    "an exception inside the peers": ruleset(
        [rule(16, True, "peers", not_peers="some"), DENY_ALL],
        sets=[PEERS, address_set("some", "10.9.0.1/32")],
    ),
    "a range of ports out": ruleset(egress=[rule(16, True, "peers", service(17, (50, 60))), DENY_ALL], sets=[PEERS]),
    "IPv4 only": ruleset([rule(16, True, "v4", service()), DENY_ALL], sets=[address_set("v4", "0.0.0.0/0")]),
    "echo over IPv4": ruleset([rule(16, True, None, service(1, icmp_type=8, icmp_code=0)), DENY_ALL]),
    "echo over IPv6": ruleset([rule(16, True, None, service(58, icmp_type=128)), DENY_ALL]),
    "the last type over IPv6": ruleset([rule(16, True, None, service(58, icmp_type=255)), DENY_ALL]),
    "rejected, not dropped": ruleset([rule(16, False, None, service(), reject=True)], [ALLOW_ALL]),
    "rejected by protocol": ruleset(
        egress=[
            rule(16, False, None, service(6, 80), reject=True),
            rule(17, False, None, service(17, 80), reject=True),
            ALLOW_ALL,
        ]
    ),
    "more ports than one match holds": ruleset(
        [rule(16, True, None, service(6, *range(1000, 1030), (79, 81))), DENY_ALL]
    ),
    "ports of any protocol": ruleset([rule(16, True, None, service(None, 53)), DENY_ALL]),
    "the first match decides": ruleset([rule(16, False, None, service(6, 80)), ALLOW_ALL]),
}


@pytest.mark.parametrize("wanted", RULESETS.values(), ids=RULESETS.keys())
def test_packets_follow_the_ruleset_in_both_families(pair: Pair, wanted: Ruleset) -> None:
    assert pair.disagreements(wanted, MATRIX) == []


def random_ruleset(seed: int) -> Ruleset:
    pick = random.Random(seed)
    sets = [PEERS, NOBODY, address_set("client4", "10.9.0.1/32"), address_set("other", "192.0.2.0/24", "2001:db8::/32")]

    def some(number: int) -> RulesetRule:
        protocol = pick.choice([None, 6, 17, 1, 58])
        ports = pick.sample([53, 80, (8000, 8100), (1, 1000)], pick.randint(0, 2)) if protocol in (6, 17) else []
        names = [None, *(item.name for item in sets)]
        allow = pick.random() < 0.5
        return rule(
            number,
            allow,
            pick.choice(names),
            service(protocol, *ports),
            not_peers=pick.choice([None, None, *names]),
            reject=not allow and pick.random() < 0.3,
        )

    lists = [[*(some(16 + at) for at in range(pick.randint(1, 6))), pick.choice([ALLOW_ALL, DENY_ALL])] for _ in "ie"]
    return ruleset(*lists, sets=sets)


@pytest.mark.parametrize("seed", range(4))
def test_the_kernel_and_the_fake_agree_on_random_rulesets(pair: Pair, seed: int) -> None:
    assert pair.disagreements(random_ruleset(seed), MATRIX) == []


def test_an_allowing_rule_writes_its_number_into_the_connection_mark_and_keeps_other_bits(pair: Pair) -> None:
    pair.workload.run("iptables", "-t", "mangle", "-A", "INPUT", "-j", "CONNMARK", "--set-xmark", "0x7/0xff")
    Place(pair.netns, pair.kernel).settle(namespace_plan(RULESETS["one port for one peer"], None, MASK))
    with TcpEcho(pair.workload.path, WORKLOAD[0], 80):
        assert probe_tcp(pair.client.path, WORKLOAD[0], 80) is Probe.OPEN
    assert f"mark={16 << 8 | 7} " in pair.workload.run("conntrack", "-L")


def test_a_second_apply_writes_nothing_and_keeps_the_counters(pair: Pair) -> None:
    plan = namespace_plan(RULESETS["one port for one peer"], None, MASK)
    Place(pair.netns, pair.kernel).settle(plan)
    probe_tcp(pair.client.path, WORKLOAD[0], 81, timeout=0.2)
    dropped = [rule.packets for rule in pair.kernel.read(pair.netns).rules(Family.IPV4, IN)][-1]
    assert dropped > 0
    assert not Place(pair.netns, pair.kernel).settle(plan).wrote, "an enforcer without memory takes over what is there"
    assert [rule.packets for rule in pair.kernel.read(pair.netns).rules(Family.IPV4, IN)][-1] >= dropped


def test_an_established_connection_survives_a_change_of_policy(pair: Pair) -> None:
    place = Place(pair.netns, pair.kernel)
    place.settle(namespace_plan(ruleset(), None, MASK))
    with TcpEcho(pair.workload.path, WORKLOAD[0], 80) as server:
        with open_socket(pair.client.path, WORKLOAD[0], socket.SOCK_STREAM) as client:
            client.settimeout(2)
            client.connect((WORKLOAD[0], 80))
            place.settle(namespace_plan(ruleset([DENY_ALL], [DENY_ALL]), None, MASK))
            client.sendall(b"still here")
            assert client.recv(64) == b"still here"
        assert probe_tcp(pair.client.path, WORKLOAD[0], 80, timeout=0.3) is Probe.TIMEOUT
        assert server.connections == 1


def test_loopback_inside_the_namespace_is_not_judged(pair: Pair) -> None:
    Place(pair.netns, pair.kernel).settle(namespace_plan(ruleset([DENY_ALL], [DENY_ALL]), None, MASK))
    with TcpEcho(pair.workload.path, "127.0.0.1", 80):
        assert probe_tcp(pair.workload.path, "127.0.0.1", 80) is Probe.OPEN


def test_a_failed_restore_keeps_the_old_rules(pair: Pair) -> None:
    Place(pair.netns, pair.kernel).settle(namespace_plan(RULESETS["one port for one peer"], None, MASK))
    before = saved(pair)

    def broken(argv: list[str], *, netns: Netns | None = None, text: str = "") -> str:
        if argv[0] == "ip6tables-restore" and "dport" in text:
            raise EnforcementFailed("ip6tables-restore is broken")
        return run(argv, netns=netns, text=text)

    place = Place(pair.netns, SystemKernel(Enforce(), runner=broken))
    with pytest.raises(EnforcementFailed, match="is broken"):
        place.settle(namespace_plan(RULESETS["more ports than one match holds"], None, MASK))
    assert saved(pair) == before


def test_a_member_that_ipset_refuses_keeps_the_old_set(pair: Pair) -> None:
    plan = namespace_plan(RULESETS["one port for one peer"], None, MASK)
    Place(pair.netns, pair.kernel).settle(plan)
    members = pair.kernel.read(pair.netns).sets
    grown = replace(RULESETS["one port for one peer"], sets=(address_set("peers", "10.1.0.0/16", "fd01::/64"),))
    change = plan_change(namespace_plan(grown, None, MASK), pair.kernel.read(pair.netns), {})
    broken = replace(change, sets_before=change.sets_before.replace("add", "add nonsense\nadd", 1))
    with pytest.raises(EnforcementFailed):
        pair.kernel.write(pair.netns, broken)
    kept = pair.kernel.read(pair.netns).sets
    assert {name: kept[name] for name in members} == members
    Place(pair.netns, pair.kernel).settle(namespace_plan(grown, None, MASK))
    assert len(pair.kernel.read(pair.netns).sets) == 2, "what the failure left behind is cleared away"


APPLY = """
import sys
from tests.support.kernel_agreement import MASK
from tests.functional.test_enforcer import RULESETS
from enforcer.kernel import SystemKernel
from enforcer.netns import Netns
from enforcer.place import Place
from enforcer.plan import namespace_plan
from ringfence.config import Enforce
place = Place(Netns(inode=int(sys.argv[1]), path=sys.argv[2]), SystemKernel(Enforce()))
print("ready", flush=True)
sys.stdin.readline()
while True:
    for name in ("one port for one peer", "more ports than one match holds"):
        place.settle(namespace_plan(RULESETS[name], None, MASK))
"""


def test_killed_in_the_middle_each_family_is_old_or_new(pair: Pair) -> None:
    names = ("one port for one peer", "more ports than one match holds")
    plans = [namespace_plan(RULESETS[name], None, MASK) for name in names]
    Place(pair.netns, pair.kernel).settle(plans[0])
    for round_number in range(10):
        root = Path(__file__).parents[2]
        child = subprocess.Popen(
            [sys.executable, "-c", APPLY, str(pair.netns.inode), pair.netns.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            start_new_session=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        child.stdin.write(b"\n")
        child.stdin.flush()
        time.sleep(random.Random(round_number).uniform(0.0, 0.08))
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdin.close()
        child.stdout.close()
        observed = pair.kernel.read(pair.netns)
        for family in Family:
            assert any(_holds(plan, family, observed) for plan in plans), f"{family} is a mixture"
        Place(pair.netns, pair.kernel).settle(plans[round_number % 2])


def _holds(plan: object, family: Family, observed: object) -> bool:
    from enforcer.change import chain_holds

    table = plan.tables[family]  # type: ignore[attr-defined]
    return all(chain_holds(family, chain, table, observed, {}) for chain in (IN, OUT))  # type: ignore[arg-type]


def test_a_held_xtables_lock_is_waited_for(pair: Pair) -> None:
    require("iptables-legacy")
    kernel = SystemKernel(Enforce(backend="legacy"))
    with open("/run/xtables.lock", "a") as lock:  # noqa: PTH123 -- its descriptor is locked
        fcntl.flock(lock, fcntl.LOCK_EX)
        timer = threading.Timer(1.0, fcntl.flock, (lock, fcntl.LOCK_UN))
        timer.start()
        Place(pair.netns, kernel).settle(namespace_plan(RULESETS["nothing is let in"], None, MASK))
        timer.join()
    assert probe_tcp(pair.client.path, WORKLOAD[0], 80, timeout=0.3) is Probe.TIMEOUT
    assert clean(kernel, [pair.netns]) == 1


def test_the_legacy_backend_gives_the_same_verdicts(pair: Pair) -> None:
    require("iptables-legacy")
    pair.kernel = SystemKernel(Enforce(backend="legacy"))
    assert pair.disagreements(RULESETS["one port for one peer"], MATRIX[::2]) == []
    assert clean(pair.kernel, [pair.netns]) == 1


def test_a_second_backend_in_the_namespace_is_reported(pair: Pair) -> None:
    require("iptables-legacy")
    pair.workload.run("iptables-legacy", "-A", "INPUT", "-p", "tcp", "--dport", "1", "-j", "DROP")
    assert "legacy" in pair.kernel.read(pair.netns).mixed


def test_cleaning_leaves_no_chain_rule_or_set_and_touches_nothing_else(pair: Pair) -> None:
    pair.workload.run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "7", "-j", "DROP")
    pair.workload.run("ip6tables", "-N", "THEIRS")
    pair.workload.run("ipset", "create", "theirs", "hash:ip")
    before = saved(pair)
    order = quarantine(workload(pair.netns))
    Place(pair.netns, pair.kernel).settle(namespace_plan(RULESETS["one port for one peer"], order, MASK))
    assert saved(pair) != before
    assert clean(pair.kernel, [pair.netns]) == 1
    assert saved(pair) == before
    assert clean(pair.kernel, [pair.netns]) == 0


def test_a_path_that_names_another_namespace_now_is_refused(pair: Pair) -> None:
    stale = Netns(inode=pair.netns.inode, path=str(pair.client.path))
    with pytest.raises(NamespaceGone):
        Place(stale, pair.kernel).settle(namespace_plan(ruleset([DENY_ALL]), None, MASK))
    assert "RINGFENCE" not in pair.client.run("iptables-save")


HOSTILE = [
    'x"\nCOMMIT\n*filter\n-F',
    "x; reboot",
    "-j ACCEPT",
    "a" * 300,
    "ünïcode ✓",
    "\x00",
    "$(id)",
    "rf:deadbeef00",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_cannot_reach_the_restore_input(pair: Pair, name: str) -> None:
    hostile = ruleset(
        [rule(16, True, name, service(6, 80)), DENY_ALL],
        sets=[address_set(name, "10.9.0.0/24")],
        workload=name,
    )
    target = workload(pair.netns, id=name, name=name, labels={name: name})
    Place(pair.netns, pair.kernel).settle(namespace_plan(hostile, quarantine(target, reason=name), MASK))
    text = saved(pair)
    assert "reboot" not in text
    assert "deadbeef00" not in text
    assert max(len(line) for line in text.splitlines()) < 300
    assert clean(pair.kernel, [pair.netns]) == 1


def test_ten_thousand_members_hold(pair: Pair) -> None:
    networks = [f"10.{a}.{b}.0/24" for a, b in itertools.product(range(20, 60), range(250))]
    big = ruleset([rule(16, True, "big"), DENY_ALL], sets=[address_set("big", *networks, "10.9.0.0/24")])
    Place(pair.netns, pair.kernel).settle(namespace_plan(big, None, MASK))
    with TcpEcho(pair.workload.path, WORKLOAD[0], 80):
        assert probe_tcp(pair.client.path, WORKLOAD[0], 80) is Probe.OPEN
    assert sum(len(item.members) for item in pair.kernel.read(pair.netns).sets.values()) == len(networks) + 1


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["TCP", "UDP"])
def test_what_was_connected_before_the_first_rules_does_not_pass_as_an_answer(
    pair: Pair, kind: socket.SocketKind
) -> None:
    listener, out = (open_socket(end.path, WORKLOAD[0], kind) for end in (pair.client, pair.workload))
    with listener, out:
        listener.bind((CLIENT[0], 8080))
        if kind is socket.SOCK_STREAM:
            listener.listen()
        out.connect((CLIENT[0], 8080))
        out.send(b"hello")
        far = listener.accept()[0] if kind is socket.SOCK_STREAM else listener
        far.settimeout(1)
        _, origin = far.recvfrom(64)
        enforcer = Enforcer(Enforce(), host="h", clock=utc_now, kernel=pair.kernel, report=lambda _: None)
        target = workload(pair.netns)
        enforcer.desire([target], {target.id: ruleset([ALLOW_ALL], [DENY_ALL])})
        enforcer.reconcile()
        with contextlib.suppress(OSError):
            far.sendto(b"x", origin or out.getsockname()) if kind is socket.SOCK_DGRAM else far.send(b"x")
        time.sleep(0.1)
        with contextlib.suppress(OSError):
            out.send(b"secret")
        assert received(far) == b""
        far.close()


def received(link: socket.socket) -> bytes:
    """What arrives before the socket's time is over; empty when nothing does or the connection is gone."""
    try:
        return link.recv(64)
    except OSError:
        return b""

"""Host-network workloads: told apart by cgroup in the host's own namespace, everybody else untouched."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from enforcer.cgroup import receive, receive_everywhere
from enforcer.reconcile import Enforcer
from enforcer.scope import cgroup_mount
from ringfence.clock import utc_now
from ringfence.config import Enforce
from ringfence.model.enforcement import EnforcementState
from ringfence.model.quarantine import QuarantineState
from ringfence.model.ruleset import WORKLOAD_SLOT_MASK, Ruleset, mark_of
from ringfence.model.verdict import Direction
from ringfence.model.workload import Containment, Workload
from tests.support.kernel_agreement import CLIENT, MASK, WORKLOAD, Pair
from tests.support.namespaces import Fabric, Namespace
from tests.support.require import require
from tests.support.rulesets import DENY_ALL, access, quarantine, rule, ruleset, service, workload
from tests.support.sockets import open_socket
from tests.support.traffic import Probe, TcpEcho, probe_tcp

pytestmark = pytest.mark.root
WEB_ONLY = ruleset([rule(16, True, None, service(6, 80)), DENY_ALL], [rule(17, True, None, service(6, 80)), DENY_ALL])
CONNECT = (
    "import socket, sys; s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 1); s.send(b'x'); s.recv(1)"
)
SERVE = """
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print('ready', flush=True)
while True:
    client, _ = listener.accept()
    client.settimeout(2)
    try:
        if sys.argv[3] == 'greets': client.sendall(b'hello')
        client.sendall(client.recv(64))
    except OSError:
        pass
    client.close()
"""


@pytest.fixture
def pair(fabric: Fabric) -> Pair:
    require("iptables", "ip6tables", "ipset", "conntrack", "ss")
    return Pair.wired(fabric)


@pytest.fixture
def cgroup() -> Iterator[Callable[[str], Path]]:
    """Makes cgroups of cgroup2; what still runs in them is ended."""
    require("cgroup2")
    mount = cgroup_mount(Path("/proc/self/mounts").read_text(encoding="utf-8"))
    made: list[Path] = []

    def make(name: str) -> Path:
        made.append(Path(mount, f"rft{os.getpid()}-{name}"))
        made[-1].mkdir()
        return made[-1]

    yield make
    for folder in made:
        for pid in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        end = time.monotonic() + 5
        while (folder / "cgroup.procs").read_text() and time.monotonic() < end:
            time.sleep(0.02)
        folder.rmdir()


def command(namespace: Namespace, folder: Path, script: str, *arguments: str, raw: bool = False) -> list[str]:
    """Runs a Python script in the namespace and in the cgroup; `raw`: with the right to packet sockets."""
    enter = 'echo $$ > "$0"/cgroup.procs; exec "$@"'
    bounded = () if raw else ("setpriv", "--bounding-set", "-net_raw")
    return namespace.command("sh", "-c", enter, str(folder), *bounded, sys.executable, "-c", script, *arguments)


def connects(namespace: Namespace, folder: Path, address: str, port: int) -> bool:
    argv = command(namespace, folder, CONNECT, address, str(port))
    return subprocess.run(argv, capture_output=True, timeout=15, check=False).returncode == 0


@contextlib.contextmanager
def serving(namespace: Namespace, folder: Path, address: str, port: int, how: str = "echoes") -> Iterator[None]:
    argv = command(namespace, folder, SERVE, address, str(port), how)
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def exchange(pair: Pair, address: str, port: int, *, listen_only: bool = False) -> bool:
    """Whether the client gets anything back from the host-network server."""
    with open_socket(pair.client.path, address, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect((address, port))
            if not listen_only:
                client.sendall(b"x")
            return bool(client.recv(64))
        except OSError:
            return False


def desired(pair: Pair, folder: Path, wanted: Ruleset = WEB_ONLY) -> tuple[Enforcer, Workload]:
    target = workload(pair.netns, containment=Containment.CGROUP, cgroup=f"/{folder.name}")
    enforcer = Enforcer(Enforce(), host="h", clock=utc_now, kernel=pair.kernel, report=lambda item: None)
    enforcer.desire([target], {target.id: wanted})
    enforcer.reconcile()
    return enforcer, target


def test_what_it_opens_follows_the_ruleset_and_carries_its_slot(pair: Pair, cgroup: Callable[[str], Path]) -> None:
    folder = cgroup("a")
    enforcer, _ = desired(pair, folder)
    with TcpEcho(pair.client.path, CLIENT[0], 80), TcpEcho(pair.client.path, CLIENT[0], 81):
        assert connects(pair.workload, folder, CLIENT[0], 80)
        assert not connects(pair.workload, folder, CLIENT[0], 81)
        assert probe_tcp(pair.workload.path, CLIENT[0], 81) is Probe.OPEN, "others on the host are untouched"
    ((slot, owner),) = enforcer.slots().items()
    assert owner == "w1"
    mark = slot << 24 | mark_of(17, MASK)
    assert f"mark={mark} " in pair.workload.run("conntrack", "-L")
    assert mark & WORKLOAD_SLOT_MASK == slot << 24
    assert enforcer.statuses()[0].state is EnforcementState.IN_FORCE


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("how", ["echoes", "greets"])
def test_no_data_of_a_denied_connection_from_outside_gets_through(
    pair: Pair, cgroup: Callable[[str], Path], version: int, how: str
) -> None:
    folder, address = cgroup("a"), WORKLOAD[version == 6]
    desired(pair, folder)
    with serving(pair.workload, folder, address, 80, how), serving(pair.workload, folder, address, 82, how):
        assert exchange(pair, address, 80, listen_only=how == "greets")
        assert not exchange(pair, address, 82, listen_only=how == "greets")


def test_quarantine_cuts_one_workload_of_the_host_and_is_verified(pair: Pair, cgroup: Callable[[str], Path]) -> None:
    folder, other = cgroup("a"), cgroup("b")
    enforcer, target = desired(pair, folder)
    done = enforcer.order(target, quarantine(target))
    assert done.state is QuarantineState.VERIFIED, done.proof
    with TcpEcho(pair.client.path, CLIENT[0], 80), serving(pair.workload, folder, WORKLOAD[0], 80):
        assert not connects(pair.workload, folder, CLIENT[0], 80)
        assert connects(pair.workload, other, CLIENT[0], 80)
        assert not exchange(pair, WORKLOAD[0], 80)
        enforcer.release(done)
        assert connects(pair.workload, folder, CLIENT[0], 80)


def test_a_slot_survives_a_restart_of_the_enforcer(pair: Pair, cgroup: Callable[[str], Path]) -> None:
    folder, second = cgroup("a"), cgroup("b")
    enforcer, target = desired(pair, folder)
    before = dict(enforcer.slots())
    again = Enforcer(Enforce(), host="h", clock=utc_now, kernel=pair.kernel, report=lambda item: None)
    newcomer = workload(pair.netns, id="a-newcomer", containment=Containment.CGROUP, cgroup=f"/{second.name}")
    again.desire([newcomer, target], {target.id: WEB_ONLY, newcomer.id: WEB_ONLY})
    again.reconcile()
    assert before.items() <= again.slots().items()
    assert sorted(again.slots().values()) == ["a-newcomer", "w1"]


def test_a_restarted_container_is_matched_by_its_new_cgroup(pair: Pair, cgroup: Callable[[str], Path]) -> None:
    folder = cgroup("a")
    enforcer, target = desired(pair, folder)
    folder.rmdir()
    folder.mkdir()
    later = workload(
        pair.netns, containment=Containment.CGROUP, cgroup=target.cgroup, started=target.started + timedelta(minutes=1)
    )
    enforcer.desire([later], {later.id: WEB_ONLY})
    enforcer.reconcile()
    with TcpEcho(pair.client.path, CLIENT[0], 81):
        assert not connects(pair.workload, folder, CLIENT[0], 81)


def test_the_last_one_to_go_leaves_nothing_on_the_host(pair: Pair, cgroup: Callable[[str], Path]) -> None:
    enforcer, _ = desired(pair, cgroup("a"))
    enforcer.desire([], {})
    enforcer.reconcile()
    assert pair.kernel.read(pair.netns).empty


def test_over_loopback_the_hosts_own_addresses_follow_the_ruleset(pair: Pair, cgroup: Callable[[str], Path]) -> None:
    folder = cgroup("a")
    desired(pair, folder)
    with TcpEcho(pair.workload.path, WORKLOAD[0], 80), TcpEcho(pair.workload.path, WORKLOAD[0], 81):
        assert connects(pair.workload, folder, WORKLOAD[0], 80)
        assert not connects(pair.workload, folder, WORKLOAD[0], 81)
        assert probe_tcp(pair.workload.path, WORKLOAD[0], 81) is Probe.OPEN, "others on the host are untouched"
    with TcpEcho(pair.workload.path, "127.0.0.1", 81):
        assert connects(pair.workload, folder, "127.0.0.1", 81)


def test_a_controlled_access_does_not_override_the_hosts_own_firewall(
    pair: Pair, cgroup: Callable[[str], Path]
) -> None:
    folder = cgroup("a")
    enforcer, target = desired(pair, folder)
    pair.workload.run("iptables", "-A", "OUTPUT", "-p", "tcp", "--dport", "80", "-j", "DROP")
    enforcer.order(target, quarantine(target, access(Direction.EGRESS, "10.9.0.1/32", service(6))))
    with TcpEcho(pair.client.path, CLIENT[0], 80), TcpEcho(pair.client.path, CLIENT[0], 81):
        assert not connects(pair.workload, folder, CLIENT[0], 80)
        assert connects(pair.workload, folder, CLIENT[0], 81)


RECEIVE = """
import socket, sys
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
link.bind((sys.argv[1], int(sys.argv[2])))
print('ready', flush=True)
while True:
    print(link.recv(64).decode(), flush=True)
"""


def test_no_datagram_reaches_a_quarantined_socket_that_is_not_connected(
    pair: Pair, cgroup: Callable[[str], Path]
) -> None:
    folder = cgroup("a")
    enforcer, target = desired(pair, folder)
    argv = command(pair.workload, folder, RECEIVE, WORKLOAD[0], "5353")
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process,
        open_socket(pair.client.path, WORKLOAD[0], socket.SOCK_DGRAM) as client,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            done = enforcer.order(target, quarantine(target))
            assert done.state is QuarantineState.VERIFIED, done.proof
            client.sendto(b"during", (WORKLOAD[0], 5353))
            again = Enforcer(Enforce(), host="h", clock=utc_now, kernel=pair.kernel, report=lambda item: None)
            again.desire([target], {target.id: WEB_ONLY})
            again.reconcile()
            client.sendto(b"after", (WORKLOAD[0], 5353))
            assert process.stdout.readline() == "after\n"
        finally:
            process.kill()


def test_clean_lets_every_cgroup_receive_again(pair: Pair, cgroup: Callable[[str], Path]) -> None:
    folder = cgroup("a")
    enforcer, target = desired(pair, folder)
    enforcer.order(target, quarantine(target))
    assert receive_everywhere(str(folder.parent)) == 1
    assert not receive(str(folder), allowed=True), "nothing is left to be taken away"


def test_with_a_controlled_access_datagrams_still_come_in_and_the_proof_says_so(
    pair: Pair, cgroup: Callable[[str], Path]
) -> None:
    enforcer, target = desired(pair, cgroup("a"))
    done = enforcer.order(target, quarantine(target, access(Direction.INGRESS, "10.9.0.1/32", service(6, 22))))
    assert done.state is QuarantineState.PARTIAL
    assert done.proof is not None
    assert [check.name for check in done.proof.checks if not check.passed] == ["datagrams from outside"]


def test_the_right_to_packet_sockets_on_the_host_is_partial(pair: Pair, cgroup: Callable[[str], Path]) -> None:
    folder = cgroup("a")
    enforcer, target = desired(pair, folder)
    argv = command(pair.workload, folder, RECEIVE, WORKLOAD[0], "5353", raw=True)
    # The shell in between makes it a child of somebody else than the enforcer.
    with subprocess.Popen(["sh", "-c", '"$@" & wait', "sh", *argv], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            done = enforcer.order(target, quarantine(target))
            assert done.proof is not None
            assert [check.name for check in done.proof.checks if not check.passed] == ["packet sockets"]
        finally:
            for pid in (folder / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)

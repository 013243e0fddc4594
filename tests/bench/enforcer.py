"""Quarantine, apply and repair, measured against the same done with single commands in the same run.

`make bench NAME=enforcer`. Everything happens in namespaces made here; the last line is one JSON object. Ratios are
what counts: `quarantine_over_single_commands` below 1 is faster than `iptables` per rule and `conntrack -D` per
connection. Milliseconds are medians.
"""

from __future__ import annotations

import json
import resource
import socket
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

from enforcer.change import plan_change
from enforcer.kernel import SystemKernel
from enforcer.place import Place
from enforcer.plan import namespace_plan
from enforcer.reconcile import Enforcer
from ringfence.clock import utc_now
from ringfence.config import Enforce
from ringfence.model.enforcement import Drift
from tests.support.kernel_agreement import CLIENT, MASK, Pair
from tests.support.namespaces import Fabric
from tests.support.rulesets import DENY_ALL, address_set, quarantine, rule, ruleset, service, workload
from tests.support.sockets import open_sockets
from tests.support.streams import DatagramStream
from tests.support.traffic import TcpEcho
from tests.support.wait import wait_until

CONNECTIONS = 150
ROUNDS = 5
POLICY = ruleset(
    [rule(16 + n, True, "peers", service(6, 1000 + n)) for n in range(20)] + [DENY_ALL],
    sets=[address_set("peers", *(f"10.{n}.0.0/16" for n in range(200)))],
)
OPEN = ruleset()


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def with_connections(pair: Pair, work: Callable[[], object]) -> float:
    """Milliseconds of `work` while the workload holds CONNECTIONS connections."""
    with ExitStack() as stack:
        server = stack.enter_context(TcpEcho(pair.client.path, CLIENT[0], 80))
        for client in open_sockets(pair.workload.path, CLIENT[0], socket.SOCK_STREAM, CONNECTIONS):
            stack.callback(client.close)
            client.settimeout(5)
            client.connect((CLIENT[0], 80))
        wait_until("all are connected", lambda: server.connections >= CONNECTIONS)
        return timed(work)


def ours(pair: Pair) -> float:
    """Rules in both families, read back, and every connection cut."""
    place, order = Place(pair.netns, pair.kernel), quarantine(workload(pair.netns))
    place.settle(namespace_plan(OPEN, None, MASK))

    def isolate() -> None:
        place.settle(namespace_plan(OPEN, order, MASK))
        assert pair.kernel.cut(pair.netns, None).left == 0

    spent = with_connections(pair, isolate)
    place.settle(namespace_plan(OPEN, None, MASK))
    return spent


def single_commands(pair: Pair) -> float:
    """The same by hand: a rule per command, then every connection found and deleted on its own."""

    def isolate() -> None:
        for program in ("iptables", "ip6tables"):
            for chain in ("INPUT", "OUTPUT", "FORWARD"):
                side = {"INPUT": ["-i", "lo"], "OUTPUT": ["-o", "lo"], "FORWARD": ["-i", "lo"]}[chain]
                pair.workload.run(program, "-I", chain, "1", "!", *side, "-j", "DROP")
        for line in pair.workload.run("conntrack", "-L", "-p", "tcp").splitlines():
            fields = dict(word.split("=", 1) for word in reversed(line.split()) if "=" in word)
            original = [
                "-s",
                fields["src"],
                "-d",
                fields["dst"],
                "--sport",
                fields["sport"],
                "--dport",
                fields["dport"],
            ]
            pair.workload.run("conntrack", "-D", "-p", "tcp", *original, check=False)

    spent = with_connections(pair, isolate)
    for program in ("iptables", "ip6tables"):
        for chain in ("INPUT", "OUTPUT", "FORWARD"):
            pair.workload.run(program, "-D", chain, "1")
    return spent


def stream_stops(pair: Pair) -> float:
    """Milliseconds from the order to the last datagram that arrived."""
    enforcer = Enforcer(Enforce(), host="h", clock=utc_now, kernel=pair.kernel, report=lambda item: None)
    target = workload(pair.netns)
    enforcer.desire([target], {target.id: OPEN})
    enforcer.reconcile()
    with DatagramStream(pair.workload.path, pair.client.path, CLIENT[0], interval=0.001) as stream:
        wait_until("it runs", lambda: stream.received > 100)
        ordered = time.monotonic()
        done = enforcer.order(target, quarantine(target))
        time.sleep(0.2)
        stopped = max(0.0, stream.last_received - ordered) * 1000
    enforcer.release(done)
    return stopped


def repairs(pair: Pair) -> list[float]:
    """Milliseconds from a flush to the rules being back, found by notification."""
    drifts: list[Drift] = []
    enforcer = Enforcer(
        Enforce(),
        host="h",
        clock=utc_now,
        kernel=pair.kernel,
        report=lambda item: drifts.append(item) if isinstance(item, Drift) else None,
    )
    target = workload(pair.netns)
    enforcer.desire([target], {target.id: POLICY})
    enforcer.reconcile()
    enforcer.start()
    time.sleep(0.5)
    spent = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        pair.workload.run("iptables", "-F")
        wait_until("it is back", lambda: len(drifts) > number, every=0.001)  # noqa: B023 -- called in this round
        spent.append((time.perf_counter() - start) * 1000)
        time.sleep(0.3)
    enforcer.stop()
    return spent


def idle_watch_cost(pair: Pair) -> float:
    """CPU milliseconds of one fingerprint of one quiet namespace."""
    watch = SystemKernel(Enforce(drift_seconds=0.0)).watch()
    watch.wait([pair.netns], 0.0)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(500):
        watch.wait([pair.netns], 0.0)
    after = resource.getrusage(resource.RUSAGE_SELF)
    watch.close()
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000 / 500


def main() -> None:
    with Fabric() as fabric:
        pair = Pair.wired(fabric)
        quarantines = [ours(pair) for _ in range(ROUNDS)]
        by_hand = [single_commands(pair) for _ in range(2)]
        stops = [stream_stops(pair) for _ in range(ROUNDS)]
        place, plan = Place(pair.netns, pair.kernel), namespace_plan(POLICY, None, MASK)
        first = timed(lambda: place.settle(plan))
        again = [timed(lambda: place.settle(plan)) for _ in range(ROUNDS)]
        compare = timed(lambda: plan_change(plan, pair.kernel.read(pair.netns), {}))
        figures = {
            "connections": CONNECTIONS,
            "quarantine_ms": statistics.median(quarantines),
            "single_commands_ms": statistics.median(by_hand),
            "quarantine_over_single_commands": statistics.median(quarantines) / statistics.median(by_hand),
            "stream_stops_ms": statistics.median(stops),
            "stream_stops_ms_max": max(stops),
            "apply_ms": first,
            "apply_unchanged_ms": statistics.median(again),
            "read_and_compare_ms": compare,
            "repair_ms": statistics.median(repairs(pair)),
            "idle_check_cpu_ms": idle_watch_cost(pair),
        }
    for name, value in figures.items():
        sys.stderr.write(f"{name:34} {value:10.3f}\n")
    sys.stdout.write(json.dumps({name: round(value, 4) for name, value in figures.items()}) + "\n")


if __name__ == "__main__":
    main()

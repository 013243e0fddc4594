"""The engine at size: batch judge against the slow evaluator, compile, difference.

    python -m tests.bench.policy_engine

The last line is one JSON object.
"""

from __future__ import annotations

import json
import random
import sys
import time
from ipaddress import ip_address

import pyarrow as pa

from policy_engine.compile import compile_rulesets
from policy_engine.diff import diff
from policy_engine.judge import Judge
from ringfence.model.policy import (
    Action,
    Group,
    Peer,
    Policy,
    PolicySet,
    PortInterval,
    Rule,
    Selector,
    Service,
    Tier,
)
from ringfence.model.verdict import Mode
from ringfence.model.workload import Workload
from tests.support.judge import Packet, slow_connection
from tests.support.policies import end_columns, flow_row, flow_table, workload

POLICIES = 500
WORKLOADS = 500
ROLES = 50
FLOWS = 100_000
DISTINCT = 5_000
SLOW_SAMPLE = 300


def large_policy() -> PolicySet:
    """A policy per application: five ports for one role, one network; default deny."""
    policies = tuple(
        Policy(
            name=f"p{number}",
            tier="application",
            selector=Selector(text=f"role == 'r{number % ROLES}' && app == 'a{number // ROLES}'"),
            ingress=(
                Rule(
                    action=Action.ALLOW,
                    peers=(Peer(selector=Selector(text=f"role == 'r{(number + 1) % ROLES}'")),),
                    services=(Service(protocol=6, ports=(PortInterval(first=8000 + number, last=8004 + number),)),),
                ),
            ),
        )
        for number in range(POLICIES)
    )
    group = Group(name="all", selector=Selector(text="all()"), mode=Mode.PROTECT)
    return PolicySet(tiers=(Tier(name="application", policies=policies),), groups=(group,))


def inventory() -> list[Workload]:
    return [
        workload(
            f"w{number}",
            {"role": f"r{number % ROLES}", "app": f"a{number // ROLES % 10}"},
            [f"10.0.{number // 250}.{number % 250 + 1}"],
            netns=number + 1,
        )
        for number in range(WORKLOADS)
    ]


def connections(members: list[Workload]) -> list[tuple[Workload, Workload, int]]:
    chance = random.Random(1)
    return [(chance.choice(members), chance.choice(members), chance.randint(8000, 8600)) for _ in range(DISTINCT)]


def table_of(kinds: list[tuple[Workload, Workload, int]]) -> pa.Table:
    rows = [
        flow_row(number, **end_columns("src", source), **end_columns("dst", destination), dst_port=port)
        for number, (source, destination, port) in enumerate(kinds)
    ]
    return pa.concat_tables([flow_table(rows)] * (FLOWS // DISTINCT)).combine_chunks()


def slow_seconds_per_flow(policies: PolicySet, kinds: list[tuple[Workload, Workload, int]]) -> float:
    started = time.process_time()
    for source, destination, port in kinds[:SLOW_SAMPLE]:
        packet = Packet(
            source_labels=source.labels,
            source=ip_address(source.addresses[0]),
            destination_labels=destination.labels,
            destination=ip_address(destination.addresses[0]),
            protocol=6,
            port=port,
        )
        slow_connection(policies, packet)
    return (time.process_time() - started) / SLOW_SAMPLE


def main() -> None:
    policies, members = large_policy(), inventory()
    kinds = connections(members)
    table = table_of(kinds)
    slow = slow_seconds_per_flow(policies, kinds)
    judge = Judge(policies, 1)
    seconds = []
    for _ in range(3):
        started = time.process_time()
        judged = judge.judge(table)
        seconds.append(time.process_time() - started)
    fast = seconds[0] / FLOWS
    started = time.process_time()
    rulesets = compile_rulesets(policies, members, lambda ref: 16)
    compiled = time.process_time() - started
    changed = PolicySet(tiers=(Tier(name="application", policies=policies.tiers[0].policies[1:]),))
    started = time.process_time()
    found = diff(policies, changed, members)
    compared = time.process_time() - started
    figures = {
        "flows": FLOWS,
        "distinct": DISTINCT,
        "policies": POLICIES,
        "workloads": WORKLOADS,
        "slow_us_per_flow": round(slow * 1e6, 1),
        "fast_us_per_flow": round(fast * 1e6, 2),
        "fast_warm_us_per_flow": round(min(seconds) / FLOWS * 1e6, 2),
        "slow_over_fast": round(slow / fast, 1),
        "findings": len(judged.findings),
        "compile_s": round(compiled, 3),
        "rules_per_workload": round(
            sum(len(item.ingress) + len(item.egress) for item in rulesets.values()) / WORKLOADS, 1
        ),
        "diff_s": round(compared, 3),
        "changes": len(found.opened) + len(found.closed),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()

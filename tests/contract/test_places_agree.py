"""Rules know a workload by the addresses by which flows are attributed to it, host by host."""

from __future__ import annotations

import random
from ipaddress import ip_address

import numpy as np
import pytest

from collector.attribution import Attribution
from policy_engine.places import Places
from ringfence.model.policy import Selector
from ringfence.model.workload import NetworkKind, Workload, WorkloadKind
from tests.support.tracked import START_NS, addresses, host_workload, inventory_of, workload

HOSTS = ("h1", "h2", "h3")
POOL = tuple(f"10.1.0.{number}" for number in range(1, 9))
KINDS = (NetworkKind.BRIDGE, NetworkKind.BRIDGE, NetworkKind.OVERLAY, NetworkKind.MACVLAN, NetworkKind.OTHER)


def estate(chance: random.Random) -> list[Workload]:
    """Hosts and containers whose few addresses collide."""
    hosts = [host_workload(name, 10 + index, chance.choice(POOL), "192.0.2.1") for index, name in enumerate(HOSTS)]
    containers = [
        workload(
            f"w{index}", 100 + index, chance.choice(POOL), host=chance.choice(HOSTS), network_kind=chance.choice(KINDS)
        )
        for index in range(6)
    ]
    return [*hosts, *containers]


def attributed(attribution: Attribution, netns: int, address: str) -> str | None:
    """Whose the address is for a connection that is seen in the host's namespace."""
    found = attribution.resolve(
        inodes=np.array([0], np.uint64),
        slots=np.array([0]),
        hosts=attribution.hosts(np.array([netns], np.uint64)),
        nat=np.array([False]),
        family=np.array([2], np.uint8),
        words=addresses(address).view(np.uint64).reshape(1, 2),
        starts=np.array([START_NS]),
    )
    return attribution.endpoints[int(found[0])].workload


@pytest.mark.parametrize("seed", range(40))
def test_rules_mean_by_an_address_whom_flows_are_attributed_to(seed: int) -> None:
    workloads = estate(random.Random(seed))
    inventory = inventory_of(*workloads)
    attribution = Attribution(inventory.snapshot)
    places = Places(inventory.workloads(), inventory.held(), inventory.machines())
    for host in (item for item in workloads if item.kind is WorkloadKind.HOST):
        for address in (*POOL, "192.0.2.1"):
            holders = {
                item.id
                for item in workloads
                if any(
                    ip_address(address) in network
                    for network in places.selected(Selector(text=f"role == '{item.name}'"), host.host)
                )
            }
            known = attributed(attribution, host.netns or 0, address)
            assert known == (holders.pop() if len(holders) == 1 else None)

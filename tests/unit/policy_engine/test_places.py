"""Whose address it is: a host's is also that of the containers in its network."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from policy_engine.places import with_host_addresses
from ringfence.model.workload import NetworkKind, Workload, WorkloadKind
from tests.support.policies import START, workload

INITIAL = 4026531840
"""The inode of a machine's first network namespace, the same on many machines."""


def host(name: str, *addresses: str) -> Workload:
    return replace(
        workload(name, {}, addresses, kind=WorkloadKind.HOST, netns=INITIAL, network=NetworkKind.HOST), host=name
    )


def guest(on: str, network: NetworkKind = NetworkKind.HOST) -> Workload:
    return replace(workload("agent", {}, netns=INITIAL, network=network), host=on)


def held(*workloads: Workload) -> list[str]:
    """The addresses of the first workload."""
    return [str(address) for address in with_host_addresses(workloads)[0].addresses]


def test_a_container_in_the_hosts_network_holds_what_the_host_holds() -> None:
    assert held(guest("h1"), host("h1", "192.0.2.1", "fd00::1")) == ["192.0.2.1", "fd00::1"]


@pytest.mark.parametrize(
    ("workloads", "expected"),
    [
        pytest.param([guest("h2"), host("h1", "192.0.2.1"), host("h2", "192.0.2.2")], ["192.0.2.2"], id="by name"),
        pytest.param([guest("engine"), host("h1", "192.0.2.1")], ["192.0.2.1"], id="the only one"),
        pytest.param([guest("engine"), host("h1", "192.0.2.1"), host("h2", "192.0.2.2")], [], id="either"),
        pytest.param([guest("h1")], [], id="no host is known"),
        pytest.param([guest("h1"), replace(host("h1", "192.0.2.1"), ended=START + timedelta(1))], [], id="it is gone"),
        pytest.param([guest("h1", NetworkKind.NONE), host("h1", "192.0.2.1")], [], id="in no network"),
    ],
)
def test_the_host_is_the_one_whose_namespace_it_is_in(workloads: list[Workload], expected: list[str]) -> None:
    assert held(*workloads) == expected

"""Whose address it is: on which host it is known, and that a host's is also that of the containers in its network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from policy_engine.places import Held, Places, with_host_addresses
from ringfence.model.policy import Selector
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


def on(machine: str, *workloads: Workload, held: Sequence[Held] = (), **machines: str) -> list[str]:
    """What whoever has the label `x` holds, as it is known on one host."""
    return [str(item) for item in Places(workloads, held, machines).selected(Selector(text="has(x)"), machine)]


def container(
    name: str, host: str, *addresses: str, network: NetworkKind = NetworkKind.BRIDGE, x: bool = True
) -> Workload:
    return replace(workload(name, {"x": ""} if x else {}, addresses, netns=hash(name), network=network), host=host)


def test_the_same_address_on_another_engine_is_not_meant() -> None:
    api, evil = container("api", "h1", "172.17.0.2"), container("evil", "h2", "172.17.0.2", x=False)
    assert on("h1", api, evil) == ["172.17.0.2/32"]
    assert on("h2", api, evil) == []


@pytest.mark.parametrize(
    ("kind", "known"),
    [(NetworkKind.OVERLAY, True), (NetworkKind.MACVLAN, True), (NetworkKind.BRIDGE, False), (NetworkKind.OTHER, False)],
)
def test_of_another_host_it_is_known_by_its_addresses_on_networks_that_span_hosts(
    kind: NetworkKind, known: bool
) -> None:
    bridged, other = container("api", "h1", "172.18.0.2"), container("api", "h1", "10.7.0.3", network=kind)
    api = replace(bridged, attachments=(*bridged.attachments, *other.attachments))
    held = [(ip_network(address), api) for address in ("172.18.0.2", "10.7.0.3", "fe80::3")]
    assert on("h1", api, held=held) == ["10.7.0.3/32", "172.18.0.2/32", "fe80::3/128"]
    assert on("h2", api, held=held) == (["10.7.0.3/32"] if known else [])


def test_an_address_that_somebody_on_the_same_host_holds_is_that_ones_alone() -> None:
    far, near = (
        replace(host(name, address, "172.17.0.1"), labels=labels, netns=netns)
        for name, address, labels, netns in (("h1", "192.0.2.1", {"x": ""}, 1), ("h2", "192.0.2.2", {}, 2))
    )
    assert on("h1", far, near) == ["172.17.0.1/32", "192.0.2.1/32"]
    assert on("h2", far, near) == ["192.0.2.1/32"]


def test_a_container_in_another_hosts_network_is_reached_by_that_hosts_addresses() -> None:
    agent = replace(guest("h1"), labels={"x": ""})
    held = [(ip_network("2001:db8::1"), host("h1", "192.0.2.1"))]
    assert on("h2", agent, host("h1", "192.0.2.1"), held=held) == ["192.0.2.1/32", "2001:db8::1/128"]


def test_a_named_network_outside_is_known_on_every_host() -> None:
    office = workload("office", {"x": ""}, kind=WorkloadKind.EXTERNAL, netns=None)
    inside = container("inside", "h2", "10.1.0.0", x=False)
    for machine in ("h1", "h2"):
        assert on(machine, inside, held=[(ip_network("10.1.0.0/31"), office)]) == ["10.1.0.1/32"]


def test_an_engine_with_a_name_of_its_own_is_on_the_host_it_runs_on() -> None:
    api = container("api", "engine", "172.17.0.2")
    assert on("h1", api, engine="h1") == ["172.17.0.2/32"]
    assert on("h1", api) == []

"""Who an end is: by namespace, by address and time, or unknown; never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import numpy as np
import pytest

from collector.attribution import Attribution, Endpoint, loopback
from collector.inventory import Inventory, Listing
from ringfence.model.workload import NetworkKind, Workload, WorkloadKind
from tests.support.tracked import (
    API,
    HOST,
    SECOND,
    START,
    START_NS,
    WEB,
    addresses,
    host_workload,
    inventory_of,
    standard_world,
    workload,
)


def ask(
    attribution: Attribution, address: str, *, inode: int = 0, at: float = 0.0, host: str = "h1", **options: Any
) -> Endpoint:
    known = [item for item in attribution._take().workloads if item.host == host and item.netns]
    hosts = attribution.hosts(np.array([known[0].netns if known else 0], np.uint64))
    words = addresses(address).view(np.uint64).reshape(1, 2)
    found = attribution.resolve(
        inodes=np.array([inode], np.uint64),
        slots=np.array([options.get("slot", 0)]),
        hosts=hosts,
        nat=np.array([options.get("nat", False)]),
        family=np.array([2 if "." in address else 10], np.uint8),
        words=words,
        starts=np.array([START_NS + int(at * SECOND)]),
    )
    return attribution.endpoints[int(found[0])]


def of(*workloads: Workload, slots: Mapping[int, str] | None = None) -> Attribution:
    return Attribution(inventory_of(*workloads).snapshot, lambda: slots or {})


def test_the_namespace_that_reports_names_the_workload_whatever_the_address() -> None:
    found = ask(of(*standard_world()), "198.51.100.77", inode=WEB)
    assert (found.name, found.method, found.labels) == ("web", "netns", ("role=web",))


def test_the_other_end_is_who_held_the_address_then() -> None:
    attribution = of(*standard_world())
    assert (ask(attribution, "10.1.0.3").name, ask(attribution, "10.1.0.3").method) == ("api", "interval")
    assert ask(attribution, "10.1.0.3", nat=True).method == "nat"
    assert ask(attribution, "fd00::4").name == "db"


def test_an_address_given_to_fifty_containers_in_turn_is_always_the_right_one() -> None:
    runs = [
        workload(
            f"job{number}",
            5000 + number,
            "10.1.0.9",
            started=START + timedelta(seconds=number),
            ended=START + timedelta(seconds=number, milliseconds=300),
        )
        for number in range(50)
    ]
    inventory = Inventory(clock=lambda: START + timedelta(minutes=2))
    inventory.replace("host", Listing(workloads=(host_workload("h1", HOST, "10.1.0.1"),)), START)
    for run in runs:
        alive = replace(run, ended=None, attachments=tuple(replace(part, until=None) for part in run.attachments))
        inventory.replace("docker", Listing(workloads=(alive,)), run.started)
        inventory.replace("docker", Listing(), run.ended)
    attribution = Attribution(inventory.snapshot)
    for number in range(50):
        assert ask(attribution, "10.1.0.9", at=number + 0.1).name == f"job{number}"
    between = {ask(attribution, "10.1.0.9", at=number + 0.31).name for number in range(49)}
    assert None in between or between <= {f"job{number + 1}" for number in range(49)}
    assert ask(attribution, "10.1.0.9", at=900).name is None


def test_two_holders_at_once_are_unknown() -> None:
    attribution = of(*standard_world(), workload("twin", 1009, "10.1.0.3"))
    found = ask(attribution, "10.1.0.3")
    assert (found.name, found.method, found.kind) == (None, "unknown", None)


def test_the_same_address_on_another_engine_is_not_meant() -> None:
    far = workload("api", 2002, "10.1.0.3", host="h2"), host_workload("h2", 2000, "10.9.0.1")
    attribution = of(*standard_world(), *far)
    assert ask(attribution, "10.1.0.3").workload == "h1-api"
    assert ask(attribution, "10.1.0.3", host="h2").workload == "h2-api"


@pytest.mark.parametrize(
    ("kind", "known"), [(NetworkKind.OVERLAY, True), (NetworkKind.MACVLAN, True), (NetworkKind.BRIDGE, False)]
)
def test_only_networks_that_span_hosts_are_looked_up_across_them(kind: NetworkKind, known: bool) -> None:
    far = workload("cache", 2003, "10.7.0.3", host="h2", network_kind=kind), host_workload("h2", 2000, "10.9.0.1")
    assert (ask(of(*standard_world(), *far), "10.7.0.3").name == "cache") is known


def test_a_gateway_address_is_the_host() -> None:
    found = ask(of(*standard_world()), "10.1.0.1")
    assert (found.kind, found.name) == ("host", "h1")


def test_a_slot_in_the_hosts_mark_names_the_workload_in_its_network() -> None:
    inside = workload("proxy", HOST, network="host", network_kind=NetworkKind.HOST)
    attribution = of(*standard_world(), inside, slots={7: "h1-proxy"})
    assert ask(attribution, "192.0.2.1", inode=HOST, slot=7).name == "proxy"
    assert ask(attribution, "192.0.2.1", inode=HOST).name == "h1"
    assert ask(attribution, "192.0.2.1", inode=HOST, slot=9).name == "h1"


def test_a_slot_is_whose_it_was_when_the_connection_began_for_as_long_as_the_run_is_known() -> None:
    now, slots = [START], {7: "h1-a"}
    inventory = Inventory(clock=lambda: now[0])
    attribution = Attribution(inventory.snapshot, lambda: dict(slots))
    runs = [
        workload(name, HOST, network="host", network_kind=NetworkKind.HOST, started=START + timedelta(minutes=minute))
        for minute, name in enumerate("abab")
    ]
    for run in runs:
        now[0], slots[7] = run.started, run.id
        inventory.replace("test", Listing(workloads=(*standard_world(), run)))
        attribution.refresh()
    names = [ask(attribution, "192.0.2.1", inode=HOST, slot=7, at=second).name for second in (30, 90, 150, 210)]
    assert names == ["a", "b", "a", "b"]
    assert ask(attribution, "192.0.2.1", inode=HOST, slot=7, at=-60).name == "h1"
    inventory.replace("test", Listing(workloads=standard_world()), START + timedelta(hours=2))
    attribution.refresh()
    assert {run for _, run in attribution._seats} == {("h1-b", runs[-1].started)}
    assert ask(attribution, "192.0.2.1", inode=HOST, slot=7, at=30).name == "h1"


def test_a_slot_that_is_given_while_nothing_else_changes_is_taken_up() -> None:
    slots: dict[int, str] = {}
    inside = workload("proxy", HOST, network="host", network_kind=NetworkKind.HOST)
    attribution = Attribution(inventory_of(*standard_world(), inside).snapshot, lambda: dict(slots))
    assert ask(attribution, "192.0.2.1", inode=HOST, slot=7).name == "h1"
    slots[7] = "h1-proxy"
    assert attribution.refresh()
    assert ask(attribution, "192.0.2.1", inode=HOST, slot=7).name == "proxy"


def test_a_namespace_is_whose_it_was_when_the_connection_began_there() -> None:
    runs = [
        workload(
            f"job{number}",
            WEB + 50,
            started=START + timedelta(seconds=10 * number),
            ended=START + timedelta(seconds=10 * number + 4),
        )
        for number in range(30)
    ]
    inventory = inventory_of(*standard_world())
    for run in runs:
        inventory.replace("docker", Listing(workloads=(replace(run, ended=None),)), run.started)
        inventory.replace("docker", Listing(), run.ended)
    attribution = Attribution(inventory.snapshot)
    for number in range(30):
        asked = [ask(attribution, "10.1.0.77", inode=WEB + 50, at=10 * number + after) for after in (-0.5, 2, 4.5)]
        assert {(end.name, end.method) for end in asked} == {(f"job{number}", "netns")}
    between = ask(attribution, "10.1.0.77", inode=WEB + 50, at=7)
    assert (between.name, between.method) == (None, "unknown")


def test_who_held_the_address_is_who_it_was_where_nobody_is_known_to_have_had_the_namespace() -> None:
    later = workload("later", API, started=START + timedelta(seconds=20))
    former = workload("former", API, ended=START - timedelta(seconds=20))
    holder = workload("holder", 1009, "10.1.0.9")
    attribution = of(host_workload("h1", HOST, "10.1.0.1"), holder, *standard_world()[:1])
    assert ask(attribution, "10.1.0.9", inode=API).method == "interval"
    inventory = inventory_of(host_workload("h1", HOST, "10.1.0.1"), holder, replace(former, ended=None))
    inventory.replace("test", Listing(workloads=(host_workload("h1", HOST, "10.1.0.1"), holder)), former.ended)
    inventory.replace("more", Listing(workloads=(later,)))
    attribution = Attribution(inventory.snapshot)
    asked = [ask(attribution, "10.1.0.9", inode=API, at=at) for at in (-60, 0, 60)]
    assert [(end.name, end.method) for end in asked] == [
        ("former", "netns"),
        ("holder", "interval"),
        ("later", "netns"),
    ]


def test_an_engine_with_a_name_of_its_own_is_on_the_host_whose_namespace_it_runs_in() -> None:
    inventory = inventory_of(*standard_world())
    named = workload("cache", 3001, "10.3.0.2", host="engine"), workload("far", 3002, "10.4.0.2", host="elsewhere")
    for item, inode in zip(named, (HOST, 4000), strict=True):
        inventory.replace(item.host, Listing(workloads=(item,), engine=(item.host, inode)), START)
    attribution = Attribution(inventory.snapshot)
    assert ask(attribution, "10.3.0.2").name == "cache"
    assert ask(attribution, "10.4.0.2").name is None
    assert attribution.hosts(np.array([HOST, 3001, WEB], np.uint64)).tolist() == [0, 0, 0]


def test_what_is_outside_is_external_and_named_networks_have_their_name() -> None:
    inventory = inventory_of(*standard_world())
    partner = workload("partner", None, kind=WorkloadKind.EXTERNAL)
    subnets = (ip_network("10.1.0.0/24"),)
    inventory.replace("file", Listing(subnets=subnets, external=((ip_network("203.0.113.0/24"), partner),)))
    attribution = Attribution(inventory.snapshot)
    named, outside, inside = (ask(attribution, text) for text in ("203.0.113.5", "198.51.100.1", "10.1.0.77"))
    assert (named.name, named.method) == ("partner", "static")
    assert (outside.kind, outside.name, outside.method) == ("external", None, "unknown")
    assert (inside.kind, inside.method) == (None, "unknown")
    assert ask(attribution, "224.0.0.1").kind is None


def test_local_are_the_addresses_of_the_namespace_and_loopback() -> None:
    attribution = of(*standard_world())
    words = np.stack([addresses(text) for text in ("10.1.0.2", "10.1.0.3", "127.0.0.9", "fd00::2")]).view(np.uint64)
    family = np.array([2, 2, 2, 10], np.uint8)
    assert attribution.local(np.full(4, WEB, np.uint64), family, words).tolist() == [True, False, True, True]
    assert loopback(family, words).tolist() == [False, False, True, False]


def test_a_change_of_the_inventory_is_taken_up() -> None:
    inventory = inventory_of(*standard_world())
    attribution = Attribution(inventory.snapshot)
    assert not attribution.refresh()
    inventory.replace("more", Listing(workloads=(workload("new", 1010, "10.1.0.10"),)))
    assert attribution.refresh()
    assert ask(attribution, "10.1.0.10", at=1).name == "new"
    assert {end.name for end in attribution.endpoints} == {None, "new"}, "only what was asked since the change"

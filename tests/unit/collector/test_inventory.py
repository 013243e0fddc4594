"""The inventory turns listings into runs and intervals."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_network

from collector.inventory import Inventory, Listing, owners
from ringfence.model.workload import Attachment, NetworkKind
from tests.support.tracked import HOST, START, WEB, host_workload, inventory_of, standard_world, workload

LATER = START + timedelta(minutes=1)


def test_what_is_no_longer_listed_has_ended_and_is_kept_for_an_hour() -> None:
    web = workload("web", WEB, "10.1.0.2")
    inventory = inventory_of(web)
    assert inventory.replace("test", Listing(), LATER)
    ended = inventory.get("h1-web")
    assert ended is not None
    assert (ended.ended, ended.netns, ended.attachments[0].until, ended.netns_path) == (LATER, WEB, LATER, None)
    assert inventory.workloads() == ()
    inventory.replace("test", Listing(workloads=(workload("new", 7),)), LATER + timedelta(minutes=30))
    inventory.replace("test", Listing(), LATER + timedelta(hours=2))
    assert {item.name for item in inventory.snapshot().workloads} == {"new"}


def test_the_same_listing_again_changes_nothing() -> None:
    inventory = inventory_of(*standard_world())
    before = inventory.snapshot()
    assert not inventory.replace("test", Listing(workloads=standard_world()), LATER)
    assert inventory.snapshot() is before


def test_a_restart_ends_one_run_and_begins_another() -> None:
    web = workload("web", WEB, "10.1.0.2")
    inventory = inventory_of(web)
    again = replace(web, started=LATER, netns=1999)
    inventory.replace("test", Listing(workloads=(again,)), LATER)
    runs = sorted(inventory.snapshot().workloads, key=lambda item: item.started)
    assert [(item.netns, item.running) for item in runs] == [(WEB, False), (1999, True)]
    assert runs[0].ended == LATER
    assert inventory.get("h1-web") == runs[1]


def test_connecting_and_disconnecting_networks_are_intervals() -> None:
    web = workload("web", WEB, "10.1.0.2")
    inventory = inventory_of(web)
    other = Attachment(network="other", kind=NetworkKind.BRIDGE, addresses=(ip_address("10.2.0.2"),), since=web.started)
    inventory.replace("test", Listing(workloads=(replace(web, attachments=(*web.attachments, other)),)), LATER)
    inventory.replace("test", Listing(workloads=(replace(web, attachments=(other,)),)), LATER + timedelta(minutes=1))
    (now,) = inventory.workloads()
    parts = {part.network: (part.since, part.until) for part in now.attachments}
    assert parts == {"other": (LATER, None), "shop": (web.started, LATER + timedelta(minutes=1))}
    assert now.addresses == (ip_address("10.2.0.2"),)


def test_a_host_holds_what_was_read_in_its_namespace() -> None:
    inventory = inventory_of(host_workload("h1", HOST))
    inventory.set_local(HOST, {ip_address("192.0.2.7"), ip_address("fe80::1")})
    (host,) = inventory.workloads()
    assert host.addresses == (ip_address("192.0.2.7"),)
    assert not inventory.set_local(HOST, {ip_address("192.0.2.7"), ip_address("fe80::1")})


def test_held_are_named_networks_and_what_running_owners_hold_in_their_namespace() -> None:
    web, partner = workload("web", WEB, "10.1.0.2"), workload("partner", 1)
    inventory = inventory_of(web)
    pair = (ip_network("203.0.113.0/24"), partner)
    inventory.replace("file", Listing(external=(pair,)))
    inventory.set_local(WEB, [ip_address("fe80::2")])
    inventory.set_local(999, [ip_address("fe80::9")])
    assert inventory.held() == (pair, (ip_network("fe80::2/128"), web))
    inventory.replace("test", Listing(), LATER)
    assert inventory.held() == (pair,)


def test_an_engine_is_on_the_host_whose_namespace_it_runs_in() -> None:
    inventory = inventory_of(*standard_world())
    for name, inode in (("engine", HOST), ("elsewhere", 4000)):
        inventory.replace(name, Listing(engine=(name, inode)), START)
    assert inventory.machines() == {"engine": "h1"}


def test_the_owner_of_a_shared_namespace_is_not_who_joined() -> None:
    shared = NetworkKind.SHARED
    joiner = workload("joiner", WEB, network="container:x", network_kind=shared, started=START + timedelta(hours=1))
    web = workload("web", WEB, "10.1.0.2")
    assert owners([joiner, web])[WEB].name == "web"
    assert owners([web, joiner])[WEB].name == "web"
    inventory = inventory_of(joiner, web)
    assert [item.name for item in inventory.at_namespace(WEB)] == ["web", "joiner"]


def test_listeners_hear_of_changes_only() -> None:
    heard: list[int] = []
    inventory = Inventory(clock=lambda: START)
    inventory.on_change(lambda: heard.append(inventory.snapshot().version))
    inventory.replace("a", Listing(workloads=standard_world()), START)
    inventory.replace("a", Listing(workloads=standard_world()), START)
    inventory.forget_local(123)
    assert len(heard) == 1

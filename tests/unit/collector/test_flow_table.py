"""Rows show what the legs say, and null where nobody knows."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from collector.inventory import Listing
from ringfence.model.flow import FLOW_SCHEMA
from ringfence.model.workload import NetworkKind, Workload
from tests.support.tracked import API, DESTROY, HOST, START, WEB, World, leg, refused, standard_world, workload

T = "10.1.0.2:40000>10.1.0.3:80"
LENT = 1007
"""A namespace whose number the kernel hands out twice."""


def test_protocols_without_ports_have_none() -> None:
    world = World()
    world.tick(leg(WEB, "10.1.0.2:0>10.1.0.3:0", protocol=47 + 3), leg(API, "10.1.0.2:0>10.1.0.3:0", protocol=50))
    (row,) = world.tick(at=2)
    assert (row["src_port"], row["dst_port"], row["transport"], row["icmp_type"]) == (None, None, "50", None)


def test_icmp_has_type_and_code() -> None:
    world = World()
    world.tick(leg(WEB, "10.1.0.2:0>10.1.0.3:0", protocol=1, icmp_type=8, icmp_id=77))
    (row,) = world.tick(at=2)
    assert (row["icmp_type"], row["icmp_code"], row["transport"], row["src_port"]) == (8, 0, "icmp", None)


def test_the_shared_network_is_named_and_only_then() -> None:
    world = World()
    world.tick(leg(WEB, T), leg(API, T, id_=2), leg(WEB, "10.1.0.2:1>203.0.113.1:80", id_=3))
    networks = {row["dst_ip"]: row["network"] for row in world.tick(at=2)}
    assert networks == {"10.1.0.3": "shop", "203.0.113.1": None}


def test_a_masqueraded_source_stays_the_source() -> None:
    world = World()
    world.tick(leg(HOST, T, "10.1.0.1:777>10.1.0.3:80", id_=2), leg(API, "10.1.0.1:777>10.1.0.3:80", id_=3))
    (row,) = world.tick(at=2)
    assert (row["src_ip"], row["nat_src_ip"], row["nat_src_port"]) == ("10.1.0.2", "10.1.0.1", 777)
    assert (row["src_name"], row["src_method"]) == ("web", "interval")


@pytest.mark.parametrize("state", [0, 3, 7, 9, 200])
def test_a_state_we_have_no_name_for_is_null(state: int) -> None:
    world = World()
    world.tick(leg(WEB, T, tcp_state=state))
    (row,) = world.tick(at=2)
    assert (row["tcp_state"] is None) is (state == 200)


def test_every_required_column_is_filled() -> None:
    world = World()
    world.tick(leg(WEB, T), leg(API, "10.1.0.9:5>10.1.0.3:80", id_=8))
    for row in world.tick(at=2):
        assert [name for name in FLOW_SCHEMA.names if not FLOW_SCHEMA.field(name).nullable and row[name] is None] == []


def test_who_has_the_namespace_next_is_not_blamed_for_what_was_denied_before() -> None:
    scanner = workload("scanner", LENT, "10.1.0.9")
    world = World(*standard_world(), scanner)
    world.tick(refused(LENT, "10.1.0.9:1000>10.1.0.3:81", rule_number=30, ingress=False, at=0.5), at=1)
    (opened,) = world.tick(at=2)
    world.inventory.replace("test", Listing(workloads=standard_world()), START + timedelta(seconds=3))
    innocent = workload("innocent", LENT, "10.1.0.9", started=START + timedelta(seconds=12))
    world.inventory.replace("test", Listing(workloads=(*standard_world(), innocent)), innocent.started)
    (final,) = world.tick(at=32)
    assert (final["src_name"], final["src_method"], final["end_reason"]) == ("scanner", "netns", "denied")
    assert final["src_workload"] == opened["src_workload"]


@pytest.mark.parametrize("taken", [False, True], ids=["its slot is free", "its slot is another's"])
def test_a_host_network_workload_that_is_gone_is_still_who_its_connections_were_of(taken: bool) -> None:
    slots = {1: "h1-backup"}
    world = World(*standard_world(), on_host("backup", START - timedelta(minutes=5)), slots=lambda: dict(slots))
    world.tick(leg(HOST, "192.0.2.1:1000>10.1.0.3:80", start=0.5, mark=1 << 24), at=1)
    (opened,) = world.tick(at=2)
    world.inventory.replace("test", Listing(workloads=standard_world()), START + timedelta(seconds=3))
    slots.clear()
    world.tick(at=4)
    if taken:
        later = on_host("later", START + timedelta(seconds=4))
        world.inventory.replace("test", Listing(workloads=(*standard_world(), later)), later.started)
        slots[1] = later.id
    world.tick(leg(HOST, "192.0.2.1:1000>10.1.0.3:80", kind=DESTROY, at=100, start=0.5, mark=1 << 24), at=101)
    (final,) = world.rows.values()
    assert (final["end_reason"], final["src_name"], final["src_method"]) == ("closed", "backup", "netns")
    assert final["src_workload"] == opened["src_workload"]


def test_what_was_denied_in_a_namespace_is_over_with_it_and_the_same_packet_later_is_another_attempt() -> None:
    ping = {"rule_number": 30, "ingress": False, "protocol": 1, "icmp_type": 8, "icmp_id": 1}
    world = World(*standard_world(), workload("first", LENT, "10.1.0.9"))
    world.tick(refused(LENT, "10.1.0.9:0>10.1.0.3:0", at=0.5, **ping), at=1)
    world.tick(at=2)
    world.inventory.replace("test", Listing(workloads=standard_world()), START + timedelta(seconds=3))
    (over,) = world.tick(at=5, gone=[LENT])
    assert (over["src_name"], over["end_reason"], over["ended"]) == ("first", "denied", START + timedelta(seconds=0.5))
    second = workload("second", LENT, "10.1.0.9", started=START + timedelta(seconds=12))
    world.inventory.replace("test", Listing(workloads=(*standard_world(), second)), second.started)
    world.tick(refused(LENT, "10.1.0.9:0>10.1.0.3:0", at=13, **ping), at=14)
    (other,) = world.tick(at=15)
    assert (other["src_name"], other["src_packets"]) == ("second", 1)


def on_host(name: str, started: datetime) -> Workload:
    return workload(name, HOST, network="host", network_kind=NetworkKind.HOST, started=started)


def test_a_server_that_began_after_the_first_try_to_reach_it_is_who_was_reached() -> None:
    first = workload("first", LENT, "10.1.0.9")
    world = World(*standard_world(), first)
    connection = "10.1.0.2:40000>10.1.0.9:80"
    world.tick(leg(WEB, connection, start=0.5), at=1)
    world.tick(at=2)
    world.inventory.replace("test", Listing(workloads=standard_world()), START + timedelta(seconds=3))
    second = workload("second", LENT, "10.1.0.9", started=START + timedelta(seconds=6))
    world.inventory.replace("test", Listing(workloads=(*standard_world(), second)), second.started)
    world.tick(leg(LENT, connection, id_=2, at=7.5, start=7.5), at=8)
    world.tick(at=9)
    (row,) = world.rows.values()
    assert (row["started"], row["dst_name"], row["dst_method"]) == (START + timedelta(seconds=0.5), "second", "netns")

"""Rows show what the legs say, and null where nobody knows."""

from __future__ import annotations

import pytest

from ringfence.model.flow import FLOW_SCHEMA
from tests.support.tracked import API, HOST, WEB, World, leg

T = "10.1.0.2:40000>10.1.0.3:80"


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

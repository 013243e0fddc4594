"""Legs that are one connection become one flow, in whatever order they come."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tracked import (
    API,
    DB,
    DESTROY,
    FAR_API,
    FAR_HOST,
    HOST,
    NEW,
    WEB,
    World,
    host_workload,
    leg,
    standard_world,
    workload,
)

PLAIN = "10.1.0.2:40000>10.1.0.3:80"
PUBLISHED, MASQUERADED = "10.1.0.2:40000>192.0.2.1:8080", "10.1.0.1:5555>10.1.0.3:80"
OUTSIDE = "203.0.113.9:7000>192.0.2.1:8080"
LEAVING, LEFT = "10.1.0.2:40001>203.0.113.9:443", "192.0.2.1:61000>203.0.113.9:443"

PATHS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "same bridge": (
        [leg(WEB, PLAIN, id_=1), leg(HOST, PLAIN, id_=2), leg(API, PLAIN, id_=3)],
        {"reporter": "src+dst+host", "src_name": "web", "dst_name": "api", "nat_dst_ip": None, "nat_src_ip": None},
    ),
    "overlay, no host leg": (
        [leg(WEB, PLAIN, id_=1), leg(API, PLAIN, id_=3)],
        {"reporter": "src+dst", "src_method": "netns", "dst_method": "netns"},
    ),
    "published port from a container, hairpin": (
        [leg(WEB, PUBLISHED, id_=1), leg(HOST, PUBLISHED, MASQUERADED, id_=2), leg(API, MASQUERADED, id_=3)],
        {
            "reporter": "src+dst+host",
            "src_name": "web",
            "dst_name": "api",
            "dst_ip": "192.0.2.1",
            "nat_src_ip": "10.1.0.1",
            "nat_src_port": 5555,
            "nat_dst_ip": "10.1.0.3",
            "nat_dst_port": 80,
        },
    ),
    "published port from outside": (
        [leg(HOST, OUTSIDE, "203.0.113.9:7000>10.1.0.3:80", id_=2), leg(API, "203.0.113.9:7000>10.1.0.3:80", id_=3)],
        {"reporter": "dst+host", "src_kind": "external", "src_method": "unknown", "dst_name": "api", "dst_port": 8080},
    ),
    "masquerade to outside": (
        [leg(WEB, LEAVING, id_=1), leg(HOST, LEAVING, LEFT, id_=2)],
        {
            "reporter": "src+host",
            "nat_src_ip": "192.0.2.1",
            "nat_src_port": 61000,
            "nat_dst_ip": None,
            "dst_kind": "external",
        },
    ),
    "virtual address translated in the client": (
        [
            leg(WEB, "10.1.0.2:4000>10.1.0.200:80", "10.1.0.2:4000>10.1.0.3:80", id_=1),
            leg(API, "10.1.0.2:4000>10.1.0.3:80", id_=3),
        ],
        {
            "reporter": "src+dst",
            "dst_ip": "10.1.0.200",
            "nat_dst_ip": "10.1.0.3",
            "dst_name": "api",
            "nat_src_ip": None,
        },
    ),
    "from the host": (
        [leg(HOST, "10.1.0.1:999>10.1.0.3:80", id_=2), leg(API, "10.1.0.1:999>10.1.0.3:80", id_=3)],
        {"reporter": "src+dst", "src_kind": "host", "src_name": "h1", "src_method": "netns"},
    ),
    "IPv6": (
        [leg(WEB, "[fd00::2]:1>[fd00::3]:80", id_=1), leg(API, "[fd00::2]:1>[fd00::3]:80", id_=3)],
        {"reporter": "src+dst", "ip_version": 6, "src_ip": "fd00::2", "dst_name": "api"},
    ),
    "destination not watched": (
        [leg(WEB, PUBLISHED, id_=1), leg(HOST, PUBLISHED, "10.1.0.2:40000>10.1.0.4:80", id_=2)],
        {"reporter": "src+host", "dst_name": "db", "dst_method": "nat"},
    ),
}


@pytest.mark.parametrize("path", PATHS, ids=list(PATHS))
def test_every_order_of_legs_gives_the_same_single_flow(path: str) -> None:
    legs, expected = PATHS[path]
    for order in itertools.permutations(legs):
        world = World()
        world.tick(*order)
        rows = world.tick(at=2)
        assert len(rows) == 1
        assert {name: rows[0][name] for name in expected} == expected


@pytest.mark.parametrize("path", PATHS, ids=list(PATHS))
def test_legs_split_over_two_ticks_or_doubled_make_one_flow(path: str) -> None:
    legs, expected = PATHS[path]
    for cut in range(len(legs) + 1):
        world = World()
        world.tick(*legs[:cut], *legs[:cut])
        world.tick(*legs[cut:], *legs, at=2)
        world.tick(at=3)
        world.tick(at=4)
        assert len(world.rows) == 1
        row = next(iter(world.rows.values()))
        assert {name: row[name] for name in expected} == expected


def test_a_late_leg_joins_the_flow_that_was_written() -> None:
    world = World()
    world.tick(leg(WEB, PLAIN, id_=1))
    (first,) = world.tick(at=2)
    world.tick(at=3)
    (second,) = world.tick(leg(API, PLAIN, id_=3, at=4), at=4)
    assert first["flow_id"] == second["flow_id"]
    assert (first["dst_method"], second["dst_method"]) == ("interval", "netns")
    assert second["reporter"] == "src+dst"


def two_engines() -> World:
    return World(
        *standard_world(),
        workload("web", 2001, "10.1.0.2", host="h2"),
        workload("api", FAR_API, "10.1.0.3", host="h2"),
        host_workload("h2", FAR_HOST, "10.1.0.1", "192.0.2.2"),
    )


def test_the_same_addresses_behind_two_engines_stay_two_connections() -> None:
    legs = [
        *(leg(netns, PLAIN, id_=number) for number, netns in enumerate((WEB, HOST, API), start=1)),
        *(leg(netns, PLAIN, id_=number) for number, netns in enumerate((2001, FAR_HOST, FAR_API), start=11)),
    ]
    for order in itertools.islice(itertools.permutations(legs), 0, 720, 37):
        world = two_engines()
        world.tick(*order)
        rows = world.tick(at=2)
        ends = sorted((row["src_workload"], row["dst_workload"], row["reporter"]) for row in rows)
        assert ends == [("h1-web", "h1-api", "src+dst+host"), ("h2-web", "h2-api", "src+dst+host")]


def test_a_connection_between_two_engines_is_one_flow() -> None:
    world = two_engines()
    world.tick(leg(WEB, PLAIN, id_=1), leg(FAR_API, PLAIN, id_=2))
    (row,) = world.tick(at=2)
    assert (row["src_workload"], row["dst_workload"], row["reporter"]) == ("h1-web", "h2-api", "src+dst")


def test_a_port_used_again_at_once_is_another_connection() -> None:
    world = World()
    world.tick(leg(WEB, PLAIN, id_=1), leg(API, PLAIN, id_=2))
    world.tick(
        leg(WEB, PLAIN, id_=1, kind=DESTROY, at=1.5),
        leg(API, PLAIN, id_=2, kind=DESTROY, at=1.5),
        leg(WEB, PLAIN, id_=5, at=1.6),
        leg(API, PLAIN, id_=6, at=1.6),
        at=2,
    )
    world.tick(at=3)
    assert len(world.rows) == 2
    assert sorted(row["end_reason"] or "" for row in world.rows.values()) == ["", "closed"]
    assert {row["reporter"] for row in world.rows.values()} == {"src+dst"}


def test_the_kernel_may_give_the_same_id_again() -> None:
    world = World()
    again = [leg(WEB, PLAIN, id_=1, at=0.1), leg(WEB, PLAIN, id_=1, kind=DESTROY, at=0.2)]
    world.tick(*again, leg(WEB, PLAIN, id_=1, at=0.3), leg(WEB, PLAIN, id_=1, kind=DESTROY, at=0.4))
    world.tick(at=2)
    assert len(world.rows) == 2


def test_two_pings_at_once_are_two_flows() -> None:
    ping = {"protocol": 1, "icmp_type": 8}
    legs = [
        leg(netns, "10.1.0.2:0>10.1.0.3:0", id_=10 * number + netns, icmp_id=number, **ping)
        for number in (1, 2)
        for netns in (WEB, API)
    ]
    world = World()
    world.tick(*legs)
    rows = world.tick(at=2)
    assert [(row["reporter"], row["icmp_type"]) for row in rows] == [("src+dst", 8)] * 2


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_interleaving_over_any_ticks_counts_each_connection_once(data: st.DataObject) -> None:
    """Each connection's own messages keep their order per namespace; everything else may happen."""
    count = data.draw(st.integers(1, 5))
    queues: list[list[np.ndarray]] = []
    for number in range(count):
        text = f"10.1.0.2:{40000 + number}>10.1.0.{3 + number % 2}:80"
        for netns in (WEB, HOST, API if number % 2 == 0 else DB):
            ends = data.draw(st.booleans())
            kinds = [NEW, DESTROY] if ends else [NEW]
            queues.append([leg(netns, text, id_=netns + number, kind=kind) for kind in kinds])
    world, tick = World(), 1
    while any(queues):
        batch = []
        for _ in range(data.draw(st.integers(1, 6))):
            ready = [queue for queue in queues if queue]
            if ready:
                batch.append(data.draw(st.sampled_from(ready)).pop(0))
        # A leg may be at most one tick behind the others of its connection before it is written.
        world.tick(*batch, at=tick * 0.1)
        tick += 1
    for _ in range(3):
        world.tick(at=tick * 0.1)
        tick += 1
    assert len({(row["src_port"], row["dst_ip"]) for row in world.rows.values()}) == count
    assert len(world.rows) == count

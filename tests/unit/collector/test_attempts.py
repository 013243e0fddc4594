"""Denied packets become attempts: added up, turned round, kept within bounds."""

from __future__ import annotations

import numpy as np
import pytest

from collector.attempts import together
from collector.legs import denied
from tests.support.tracked import API, DB, SECOND, START_NS, WEB, World, leg, refused

T = "10.1.0.2:40000>10.1.0.3:80"


def test_packets_of_one_attempt_are_added_up_whatever_their_order() -> None:
    packets = [refused(WEB, T, rule_number=number, ingress=False, at=at) for number, at in ((32, 3), (31, 1))]
    (attempt,) = together(denied(np.concatenate([*packets])))
    assert (attempt["packets"], attempt["bytes"], attempt["rule"]) == (2, 120, 32)
    assert (attempt["start"] - START_NS, attempt["last"] - START_NS) == (SECOND, 3 * SECOND)


def test_directions_namespaces_and_pings_are_different_attempts() -> None:
    packets = [
        refused(WEB, T, rule_number=31, ingress=False),
        refused(WEB, T, rule_number=21, ingress=True),
        refused(API, T, rule_number=31, ingress=False),
        refused(WEB, T, rule_number=31, ingress=False, icmp_id=5),
    ]
    assert len(together(denied(np.concatenate(packets)))) == 4


def scan(netns: int, ports: range, *, at: float = 0.0) -> list[np.ndarray]:
    source = {WEB: "10.1.0.2", API: "10.1.0.3"}[netns]
    return [refused(netns, f"{source}:40000>10.1.0.4:{port}", rule_number=31, ingress=False, at=at) for port in ports]


def test_attempts_beyond_the_bound_of_a_namespace_are_counted_packet_by_packet() -> None:
    world = World(most_denied=10)
    world.tick(*scan(WEB, range(1, 9)))
    world.tick(*scan(WEB, range(1, 31), at=1), *scan(WEB, range(29, 31), at=1.5), *scan(API, range(5), at=1), at=2)
    world.tick(at=3)
    assert len(world.rows) == 10 + 5
    assert sum(row["src_packets"] for row in world.rows.values()) + world.aggregator.unfollowed == 8 + 32 + 5


@pytest.mark.parametrize("apart", [0, 1], ids=["in one tick", "later"])
def test_a_tracked_connection_is_denied_beyond_the_bound_too(apart: int) -> None:
    world = World(most_denied=1)
    packet = refused(DB, "10.1.0.3:9>10.1.0.4:80", rule_number=21, ingress=True, at=apart)
    tracked = leg(API, "10.1.0.3:9>10.1.0.4:80")
    filling = [refused(DB, f"10.1.0.2:9>10.1.0.4:{port}", rule_number=21, ingress=True) for port in (1, 2, 3)]
    world.tick(*filling, tracked, *([] if apart else [packet]))
    world.tick(*([packet] if apart else []), at=2)
    world.tick(at=3)
    (row,) = [row for row in world.rows.values() if row["dst_port"] == 80]
    assert (row["enforced"], world.aggregator.unfollowed) == ("denied", 2)


def test_room_comes_back_when_attempts_are_over() -> None:
    world = World(most_denied=2)
    world.tick(*scan(WEB, range(1, 3)))
    for second in range(1, 70):
        world.tick(at=second)
    world.tick(*scan(WEB, range(3, 5), at=70), at=70)
    world.tick(at=71)
    assert (len(world.rows), world.aggregator.unfollowed) == (4, 0)

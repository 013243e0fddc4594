"""Legs: rows are found, reused and released."""

from __future__ import annotations

import numpy as np

from collector.legs import LEG, LegKind, Legs, Table, denied, tracked
from tests.support.tracked import API, DESTROY, DUMP, SECOND, START_NS, WEB, leg, refused

T = "10.1.0.2:40000>10.1.0.3:80"


def of(*records: np.ndarray) -> np.ndarray:
    joined = np.concatenate(records)
    return tracked(joined, joined["nsid"].astype(np.uint64))


def test_the_same_connection_has_the_same_key_in_every_message() -> None:
    legs = of(leg(WEB, T), leg(WEB, T, kind=DUMP, at=5), leg(WEB, T, kind=DESTROY, at=9))
    assert len(np.unique(legs["key"])) == 1
    assert legs["alive"].tolist() == [True, True, False]


def test_another_id_or_namespace_is_another_leg() -> None:
    legs = of(leg(WEB, T, id_=1), leg(WEB, T, id_=2), leg(API, T, id_=1))
    assert len(np.unique(legs["key"])) == 3


def test_time_wait_tells_when_the_connection_closed() -> None:
    seen = of(
        leg(WEB, T, kind=DUMP, at=100, start=1, tcp_state=7, timeout=90), leg(WEB, T, kind=DUMP, at=100, tcp_state=3)
    )
    assert seen["closed"].tolist() == [START_NS + 70 * SECOND, 0]


def test_a_denied_packet_is_a_leg_of_its_own_kind() -> None:
    legs = denied(refused(API, T, rule_number=21, ingress=True))
    assert (legs["kind"][0], legs["packets"][0], legs["bytes"][0]) == (LegKind.DENIED_INGRESS, 1, 60)
    assert (legs["hash_in"] == of(leg(WEB, T))["hash_out"]).all()


def test_found_are_only_legs_that_are_really_the_same() -> None:
    legs = Legs()
    first = of(leg(WEB, T, id_=1))
    rows = legs.add(first)
    assert legs.find(first).tolist() == rows.tolist()
    forged = of(leg(WEB, "10.1.0.9:1>10.1.0.3:80", id_=1))
    forged["key"] = first["key"]
    assert legs.find(forged).tolist() == [-1]


def test_rows_are_zeroed_and_reused_after_release() -> None:
    table = Table(LEG, capacity=2)
    rows = table.allocate(5)
    assert len(set(rows.tolist())) == 5
    table.rows["mark"][rows] = 7
    table.release(rows[:2])
    again = table.allocate(2)
    assert set(again.tolist()) == set(rows[:2].tolist())
    assert table.rows["mark"][again].tolist() == [0, 0]
    assert len(table) == 5


def test_released_legs_are_not_found() -> None:
    legs = Legs()
    first = of(leg(WEB, T, id_=1))
    legs.release(legs.add(first))
    assert legs.find(first).tolist() == [-1]
    assert len(legs.wires) == len(legs.keys) == 0

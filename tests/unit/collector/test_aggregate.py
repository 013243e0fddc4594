"""From kernel records to rows: opening, updating, ending, denying, resuming; nothing is counted twice."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from collector.columns import CONNTRACK
from ringfence.model.flow import FLOW_SCHEMA
from ringfence.model.workload import NetworkKind
from tests.support.tracked import (
    API,
    DESTROY,
    DUMP,
    HOST,
    SECOND,
    START,
    START_NS,
    WEB,
    World,
    leg,
    refused,
    standard_world,
    workload,
)

T = "10.1.0.2:40000>10.1.0.3:80"


def test_a_connection_opens_changes_and_ends_as_one_flow() -> None:
    world = World()
    assert world.tick(leg(WEB, T, id_=1, rule_number=30), leg(API, T, id_=3, rule_number=21)) == []
    (opened,) = world.tick(at=2)
    assert (opened["src_packets"], opened["end_reason"], opened["ended"]) == (None, None, None)
    assert (opened["enforced"], opened["rule"], opened["egress_rule"]) == (
        "allowed",
        "app/p/ingress/1",
        "app/p/egress/0",
    )
    (changed,) = world.tick(leg(WEB, T, id_=1, kind=DUMP, at=3, counters=(5, 500, 4, 900), tcp_state=3), at=3)
    assert (changed["src_bytes"], changed["dst_bytes"], changed["tcp_state"]) == (500, 900, "established")
    assert world.tick(leg(WEB, T, id_=1, kind=DUMP, at=4, counters=(5, 500, 4, 900), tcp_state=3), at=4) == []
    stop = START_NS + 5 * SECOND
    (dying,) = world.tick(leg(WEB, T, id_=1, kind=DESTROY, at=6, counters=(6, 600, 5, 950), stop_ns=stop), at=6)
    assert (dying["end_reason"], dying["src_bytes"]) == (None, 600), "the other end may have more to tell"
    assert world.tick(at=10) == []
    (final,) = world.tick(at=12)
    assert (final["end_reason"], final["src_bytes"], final["ended"]) == ("closed", 600, START + timedelta(seconds=5))
    assert {row["flow_id"] for row in (opened, changed, final)} == {final["flow_id"]}
    assert world.tick(leg(API, T, id_=3, kind=DESTROY, at=20), at=20) == []


def test_rows_have_the_schema() -> None:
    world = World()
    table = world.aggregator.take(
        leg(WEB, T), np.zeros(0, refused(API, T, rule_number=1, ingress=True).dtype), START_NS
    )
    assert table.schema == FLOW_SCHEMA
    none = np.zeros(0, refused(API, T, rule_number=1, ingress=True).dtype)
    table = world.aggregator.take(np.zeros(0, CONNTRACK), none, START_NS + SECOND)
    assert (table.schema, table.num_rows) == (FLOW_SCHEMA, 1)
    table.validate(full=True)


def test_a_short_connection_waits_for_its_legs_too() -> None:
    world = World()
    ended = leg(WEB, T, id_=1, kind=DESTROY, at=0.5, counters=(1, 40, 1, 40))
    assert world.tick(leg(WEB, T, id_=1), ended) == []
    (row,) = world.tick(leg(API, T, id_=3, at=0.1), at=2)
    assert (row["reporter"], row["end_reason"], row["src_packets"]) == ("src+dst", "closed", 1)


def test_counters_come_from_the_destination_when_the_source_is_not_watched() -> None:
    world = World()
    outside = "203.0.113.9:7000>10.1.0.3:80"
    world.tick(
        leg(HOST, outside, id_=2, kind=DUMP, counters=(9, 9, 9, 9)),
        leg(API, outside, id_=3, kind=DUMP, counters=(3, 300, 2, 200)),
    )
    (row,) = world.tick(at=2)
    assert (row["src_packets"], row["src_bytes"], row["dst_packets"], row["dst_bytes"]) == (3, 300, 2, 200)


def test_time_wait_sets_the_end_and_the_row_stays_open() -> None:
    world = World()
    world.tick(leg(WEB, T, id_=1))
    world.tick(at=2)
    (row,) = world.tick(leg(WEB, T, id_=1, kind=DUMP, at=30, tcp_state=7, timeout=100, counters=(1, 1, 1, 1)), at=30)
    assert (row["ended"], row["end_reason"], row["tcp_state"]) == (START + timedelta(seconds=10), None, "time_wait")
    (final,) = world.tick(leg(WEB, T, id_=1, kind=DESTROY, at=130, counters=(1, 1, 1, 1)), at=130)
    assert (final["ended"], final["end_reason"]) == (row["ended"], "closed")


def test_a_dump_read_before_the_end_brings_nothing_back() -> None:
    world = World()
    stale = leg(WEB, T, id_=1, kind=DUMP, at=1.4, start=0, counters=(1, 1, 1, 1))
    world.tick(leg(WEB, T, id_=1, start=0))
    world.tick(leg(WEB, T, id_=1, kind=DESTROY, at=1.5), stale, at=2)
    world.tick(stale, at=3)
    world.tick(at=4)
    assert [row["end_reason"] for row in world.rows.values()] == ["closed"]


def test_an_end_that_was_missed_shows_in_the_dumps() -> None:
    world = World()
    world.tick(leg(WEB, T, id_=1))
    world.tick(at=2)
    for second in (10, 20, 30):
        world.tick(at=second, dumped={WEB: second - 1})
    (row,) = world.rows.values()
    assert (row["end_reason"], row["ended"]) == ("lost", row["last_seen"])


def test_a_connection_that_every_dump_shows_stays_open() -> None:
    world = World()
    world.tick(leg(WEB, T, id_=1))
    for second in range(2, 60, 10):
        world.tick(leg(WEB, T, id_=1, kind=DUMP, at=second), at=second, dumped={WEB: second - 1})
    assert [row["end_reason"] for row in world.rows.values()] == [None]


def test_the_end_of_a_namespace_ends_its_connections() -> None:
    world = World()
    world.tick(leg(WEB, T, id_=1), leg(API, T, id_=2))
    world.tick(at=2)
    (row,) = world.tick(at=3, gone=[WEB])
    assert row["end_reason"] is None
    (row,) = world.tick(at=9)
    assert row["end_reason"] == "closed"


def test_an_end_without_a_beginning_is_a_final_flow() -> None:
    world = World()
    world.tick(leg(WEB, T, id_=1, kind=DESTROY, start=-50, counters=(5, 5, 5, 5)))
    (row,) = world.tick(at=2)
    assert (row["end_reason"], row["started"], row["src_packets"]) == ("closed", START - timedelta(seconds=50), 5)
    assert world.tick(leg(API, T, id_=3, kind=DESTROY, start=-50, at=9), at=9) == []


def test_loopback_and_self_are_left_out_and_counted() -> None:
    world = World()
    world.tick(leg(WEB, "127.0.0.1:1>127.0.0.1:2"), leg(WEB, "10.1.0.2:1>10.1.0.2:2"), leg(WEB, "[::1]:1>[::1]:2"))
    world.tick(at=2)
    assert (world.rows, world.aggregator.discarded["loopback"]) == ({}, 3)
    world = World(include_loopback=True)
    world.tick(leg(WEB, "127.0.0.1:1>127.0.0.1:2"))
    assert len(world.tick(at=2)) == 1


def test_a_namespace_nobody_knows_is_left_out_and_counted() -> None:
    world = World(unknown={777})
    for second in range(1, 6):
        world.tick(*([leg(777, "172.30.0.2:1>172.30.0.3:2")] if second == 1 else []), at=second)
    assert (world.rows, world.aggregator.discarded["unwatched"], world.aggregator.open_flows) == ({}, 1, 0)


def test_records_wait_for_a_namespace_that_is_about_to_be_watched() -> None:
    world = World(unknown={WEB})
    world.tick(leg(WEB, T, id_=1))
    world.unknown.clear()
    world.tick(at=2)
    (row,) = world.tick(at=3)
    assert (row["src_method"], row["reporter"]) == ("netns", "src")


def test_memory_is_given_back_after_the_grace() -> None:
    world = World()
    for number in range(50):
        text = f"10.1.0.2:{1000 + number}>10.1.0.3:80"
        world.tick(leg(WEB, text, id_=number), leg(WEB, text, id_=number, kind=DESTROY, at=0.5), at=1)
    world.tick(at=2)
    assert len(world.rows) == 50
    world.tick(at=60)
    assert world.aggregator.open_flows == 0


@pytest.mark.parametrize("leg_first", [True, False], ids=["leg first", "packet first"])
def test_a_denial_at_the_destination_joins_the_sources_leg(leg_first: bool) -> None:
    world = World()
    seen = [leg(WEB, T, id_=1, rule_number=30), leg(HOST, T, id_=2)]
    packet = refused(API, T, rule_number=22, ingress=True)
    world.tick(*(seen if leg_first else [packet]))
    world.tick(*([packet] if leg_first else seen), at=2)
    world.tick(at=3)
    (row,) = world.rows.values()
    assert (row["enforced"], row["ingress_rule"], row["egress_rule"]) == ("denied", "app/p/ingress/2", "app/p/egress/0")
    assert (row["rule"], row["reporter"], row["origin"]) == ("app/p/ingress/2", "src+dst+host", "conntrack")
    assert (row["src_name"], row["dst_name"], row["dst_method"]) == ("web", "api", "netns")
    world.tick(leg(WEB, T, id_=1, kind=DESTROY, at=120, counters=(7, 420, 0, 0)), at=120)
    (final,) = world.tick(leg(HOST, T, id_=2, kind=DESTROY, at=121, counters=(7, 420, 0, 0)), at=121)
    assert (final["end_reason"], final["src_packets"]) == ("denied", 7)


def test_repeated_packets_of_a_denied_attempt_are_one_flow() -> None:
    world = World()
    moments = [0, 1, 3, 7, 15, 31, 63]
    for second in range(0, 75):
        packets = [refused(WEB, T, rule_number=31, ingress=False, at=second)] if second in moments else []
        world.tick(*packets, at=second)
    (row,) = world.rows.values()
    assert (row["enforced"], row["src_packets"], row["src_bytes"], row["dst_packets"]) == ("denied", 7, 420, None)
    assert (row["rule"], row["reporter"], row["origin"]) == ("app/p/egress/1", "src", "nflog")
    assert row["end_reason"] is None
    world.tick(at=220)
    assert next(iter(world.rows.values()))["end_reason"] == "denied"


def test_a_single_denied_packet_ends_after_the_idle_time() -> None:
    world = World(denied_idle_seconds=30)
    world.tick(refused(WEB, T, rule_number=31, ingress=False))
    (opened,) = world.tick(at=2)
    assert opened["end_reason"] is None
    assert world.tick(at=29) == []
    (final,) = world.tick(at=31)
    assert (final["end_reason"], final["ended"], final["enforced"]) == ("denied", START, "denied")


def test_a_denial_in_the_hosts_namespace_names_the_workload_by_its_slot() -> None:
    inside = workload("proxy", HOST, network="host", network_kind=NetworkKind.HOST)
    world = World(*standard_world(), inside, slots=lambda: {7: "h1-proxy"})
    tuples = "192.0.2.1:1000>10.1.0.3:81", "10.1.0.2:1001>192.0.2.1:82"
    out = refused(HOST, tuples[0], rule_number=30, ingress=False)
    into = refused(HOST, tuples[1], rule_number=20, ingress=True)
    for record in (out, into):
        record["slot"] = 7
    tracked = leg(WEB, tuples[1], id_=5), leg(HOST, tuples[1], id_=6)
    world.tick(out, into, *tracked)
    world.tick(at=2)
    ends = {row["dst_port"]: (row["src_name"], row["dst_name"], row["enforced"]) for row in world.rows.values()}
    assert ends == {81: ("proxy", "api", "denied"), 82: ("web", "proxy", "denied")}


def test_a_denied_answer_belongs_to_its_connection() -> None:
    world = World()
    world.tick(leg(WEB, T, id_=1), leg(API, T, id_=2))
    world.tick(at=2)
    (row,) = world.tick(refused(API, "10.1.0.3:80>10.1.0.2:40000", rule_number=3, ingress=False, at=3), at=3)
    assert (row["enforced"], row["rule"], len(world.rows)) == ("denied", "quarantine/egress/default", 1)
    assert row["enforced_basis"] == "explicit"


def test_at_the_end_nothing_waits_for_its_namespace_any_longer() -> None:
    world = World(unknown={WEB})
    world.tick(leg(WEB, T, id_=1))
    world.tick(leg(API, T, id_=2), at=2, hold=False)
    (row,) = world.rows.values()
    assert (row["src_ip"], row["dst_name"]) == ("10.1.0.2", "api")


PING = {"protocol": 1, "icmp_type": 8}
P = "10.1.0.2:0>10.1.0.3:0"


def verdicts(world: World) -> list[str]:
    """Of every flow, in the order they began."""
    return [row["enforced"] for row in sorted(world.rows.values(), key=lambda row: row["started"])]


def test_each_denied_ping_is_a_denied_flow_of_its_own() -> None:
    world = World()
    for second, number in ((0, 7), (5, 8)):
        world.tick(
            leg(WEB, P, id_=number, icmp_id=number, at=second, **PING),
            refused(API, P, rule_number=22, ingress=True, at=second, icmp_id=number, **PING),
            at=second,
        )
    world.tick(at=7)
    assert verdicts(world) == ["denied", "denied"]


@pytest.mark.parametrize("apart", [0, 5], ids=["in one tick", "later"])
def test_a_denied_ping_leaves_another_ping_allowed(apart: int) -> None:
    world = World()
    allowed = leg(WEB, P, id_=7, icmp_id=7, **PING)
    packet = refused(WEB, P, rule_number=31, ingress=False, at=apart, icmp_id=8, **PING)
    world.tick(*([allowed] if apart else [allowed, packet]))
    world.tick(*([packet] if apart else []), at=5)
    world.tick(at=7)
    assert sorted(verdicts(world)) == ["allowed", "denied"]


def test_packets_of_a_port_used_again_deny_the_new_connection() -> None:
    world = World()
    datagram = {"rule_number": 22, "ingress": True, "protocol": 17}
    world.tick(leg(WEB, T, id_=1, protocol=17), refused(API, T, **datagram))
    world.tick(refused(API, T, at=20, **datagram), at=20)
    world.tick(leg(WEB, T, id_=1, protocol=17, kind=DESTROY, at=50), at=50)
    world.tick(leg(WEB, T, id_=2, protocol=17, at=55), refused(API, T, at=55, **datagram), at=55)
    world.tick(at=57)
    assert verdicts(world) == ["denied", "denied"]


def test_a_rejected_connection_tried_again_from_its_port_is_denied_again() -> None:
    world = World()
    world.tick(leg(WEB, T, id_=1), refused(API, T, rule_number=22, ingress=True))
    world.tick(leg(WEB, T, id_=1, kind=DESTROY, at=10, tcp_state=8), at=10)
    world.tick(leg(WEB, T, id_=2, at=15), refused(API, T, rule_number=22, ingress=True, at=15), at=15)
    world.tick(at=17)
    assert verdicts(world) == ["denied", "denied"]


def test_a_packet_read_after_the_end_of_its_connection_stays_with_it() -> None:
    world = World()
    packet = {"rule_number": 22, "ingress": True}
    world.tick(leg(WEB, T, id_=1), refused(API, T, **packet))
    world.tick(leg(WEB, T, id_=1, kind=DESTROY, at=3), refused(API, T, at=2.9, **packet), at=3)
    world.tick(at=5)
    assert verdicts(world) == ["denied"]


def resumed(world: World) -> pa.Table:
    table = world.table()
    return table.filter(pc.is_null(table["end_reason"]))


def test_after_a_restart_a_connection_keeps_its_id_and_is_counted_once() -> None:
    before = World()
    before.tick(leg(WEB, T, id_=1, start=0), leg(API, T, id_=2, start=0))
    before.tick(at=2)
    world = World(resume=resumed(before))
    world.tick(leg(WEB, T, id_=1, kind=DUMP, at=60, start=0.0001, counters=(5, 5, 5, 5)), at=60)
    world.aggregator.first_dump_done()
    for second in range(61, 66):
        world.tick(at=second)
    (row,) = world.rows.values()
    assert row["flow_id"] in before.rows
    assert (row["src_packets"], row["end_reason"], row["started"]) == (5, None, START)


def test_a_flow_ends_with_the_last_of_its_legs() -> None:
    world = World()
    world.tick(leg(WEB, T, id_=1), leg(API, T, id_=2))
    world.tick(at=2)
    ends = [leg(where, T, id_=id_, kind=DESTROY, at=3, counters=(5, 5, 5, 5)) for where, id_ in ((WEB, 1), (API, 2))]
    (final,) = world.tick(*ends, at=3)
    assert final["end_reason"] == "closed"


def test_a_run_that_is_killed_between_the_ends_of_two_legs_counts_once() -> None:
    before = World()
    before.tick(leg(WEB, T, id_=1, start=0), leg(API, T, id_=2, start=0))
    before.tick(at=2)
    before.tick(leg(WEB, T, id_=1, kind=DESTROY, at=3, counters=(5, 5, 5, 5)), at=3)
    world = World(resume=resumed(before))
    world.tick(leg(API, T, id_=2, kind=DESTROY, start=0, at=6, counters=(5, 5, 5, 5)), at=6)
    (final,) = world.tick(at=7)
    assert (final["flow_id"] in before.rows, final["end_reason"]) == (True, "closed")


def test_after_a_restart_what_is_gone_is_lost_and_said_once() -> None:
    before = World()
    before.tick(leg(WEB, T, id_=1), refused(WEB, "10.1.0.2:9>10.1.0.3:81", rule_number=31, ingress=False))
    before.tick(at=2)
    world = World(resume=resumed(before))
    for second in range(60, 70):
        if second == 61:
            world.aggregator.first_dump_done()
        world.tick(at=second)
    assert {row["flow_id"] for row in world.rows.values()} == set(before.rows)
    assert sorted(row["end_reason"] for row in world.rows.values()) == ["denied", "lost"]


def test_after_a_restart_a_port_used_again_is_another_connection() -> None:
    before = World()
    before.tick(leg(WEB, T, id_=1, start=0))
    before.tick(at=2)
    world = World(resume=resumed(before))
    world.tick(leg(WEB, T, id_=9, kind=DUMP, at=60, start=40), at=60)
    world.aggregator.first_dump_done()
    for second in range(61, 66):
        world.tick(at=second)
    assert sorted(row["end_reason"] or "" for row in world.rows.values()) == ["", "lost"]


def test_a_resumed_denial_stays_one() -> None:
    before = World()
    before.tick(leg(WEB, T, id_=1, start=0), refused(API, T, rule_number=22, ingress=True))
    before.tick(at=2)
    world = World(resume=resumed(before))
    world.tick(leg(WEB, T, id_=1, kind=DUMP, at=60, start=0, counters=(5, 5, 0, 0)), at=60)
    (row,) = world.tick(at=61)
    assert (row["enforced"], row["ingress_rule"], row["flow_id"] in before.rows) == ("denied", "app/p/ingress/2", True)
    (final,) = world.tick(leg(WEB, T, id_=1, kind=DESTROY, at=70, counters=(5, 5, 0, 0)), at=70)
    assert final["end_reason"] == "denied"


def test_flow_ids_are_the_same_for_the_same_records() -> None:
    ids = []
    for _ in range(2):
        world = World(*standard_world())
        world.tick(leg(WEB, T, id_=1), leg(API, T, id_=2))
        ids.append([row["flow_id"] for row in world.tick(at=2)])
    assert ids[0] == ids[1]
    assert len(ids[0][0]) == 32

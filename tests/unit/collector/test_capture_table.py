"""Rows of a capture: final, complete, with the same ids each time."""

from __future__ import annotations

from collector.capture_table import build_table, frame_bytes
from ringfence.model.flow import FLOW_SCHEMA
from tests.support.captures import connection, packet
from tests.unit.collector.test_conversations import REUSED, gather


def test_every_conversation_is_a_final_row() -> None:
    every = gather([*connection(), packet("[fd00::1]:5353", "[fd00::2]:53", protocol=17)]).every
    table = build_table(every, "cap")
    table.validate(full=True)
    assert table.schema == FLOW_SCHEMA
    tcp, udp = table.to_pylist()
    assert (tcp["origin"], tcp["end_reason"], tcp["enforced"], tcp["src_bytes"], tcp["dst_bytes"]) == (
        *("pcap", "imported", None),
        *(165, 120),
    )
    assert (udp["transport"], udp["ip_version"], udp["src_port"], udp["dst_packets"]) == ("udp", 6, 5353, 0)


def test_ids_are_stable_and_differ_between_connections_on_the_same_ports() -> None:
    first, second = (build_table(gather(REUSED).every, "cap")["flow_id"].to_pylist() for _ in range(2))
    assert first == second
    assert len(set(first)) == 3
    assert not set(first) & set(build_table(gather(REUSED).every, "other")["flow_id"].to_pylist())


def test_frame_bytes_stand_beside_ip_bytes() -> None:
    every = gather(connection()).every
    table = build_table(every, "cap")
    assert frame_bytes(every, table).to_pylist() == [
        {"flow_id": table["flow_id"][0].as_py(), "src_frame_bytes": 165, "dst_frame_bytes": 120}
    ]


def test_an_empty_capture_is_an_empty_table() -> None:
    assert build_table([], "cap").num_rows == 0

"""The Drops column is read for exactly our socket."""

from __future__ import annotations

import pytest

from collector.drops import parse_drops

TABLE = """sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
000000006c6e726f 0   0          00000000 0        0        0     2        0        48185
00000000794801f3 12  4242       00000005 0        0        0     2        17       48581
00000000794801f4 12  4242       00000005 0        0        0     2        99       48582
00000000794801f5 4   4242       00000005 0        0        0     2        55       48583
"""


@pytest.mark.parametrize(
    ("protocol", "port", "inode", "drops"),
    [
        (12, 4242, 48581, 17),
        (12, 4242, 48582, 99),
        (12, 4243, 48581, None),
        (12, 4242, 1, None),
        (4, 4242, 48581, None),
        (4, 4242, 48583, 55),
    ],
)
def test_protocol_port_and_inode_must_agree(protocol: int, port: int, inode: int, drops: int | None) -> None:
    assert parse_drops(TABLE, protocol=protocol, port=port, inode=inode) == drops


@pytest.mark.parametrize("table", ["", "\n", "header\n1 2 3\n", TABLE[:150]], ids=["empty", "blank", "short", "cut"])
def test_an_incomplete_table_has_no_answer(table: str) -> None:
    assert parse_drops(table, protocol=12, port=4242, inode=48581) is None

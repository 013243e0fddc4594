"""A deletion names the connection exactly as the kernel named it."""

from __future__ import annotations

import struct

import pytest

from collector.decode import Decoder
from collector.dump import delete_request
from collector.netlink import HEADER, attributes, message
from tests.support.conntrack import Connection, pack

SIX = {"src": "fd00::1", "dst": "fd00::2"}


@pytest.mark.parametrize(
    "connection",
    [
        Connection(protocol=17, id=0x01020304),
        Connection(protocol=6, **SIX, zone=7),
        Connection(protocol=1, icmp=(9, 8, 0)),
        Connection(protocol=58, **SIX, icmp=(9, 128, 0)),
        Connection(protocol=132),
    ],
    ids=["udp4", "tcp6 in a zone", "icmp", "icmpv6", "sctp"],
)
def test_the_tuple_comes_back_as_it_was(connection: Connection) -> None:
    raw = connection.message()
    batch = pack([raw])
    records, _ = Decoder().decode(batch.data, batch.offsets, batch.lengths)
    request = delete_request(records[0], 42)
    length, kind, flags, sequence, _ = HEADER.unpack_from(request)
    assert (length, kind, flags, sequence) == (len(request), 0x102, 0x5, 42)
    assert request[16] == connection.family
    found, told = dict(attributes(request[20:])), dict(attributes(raw[20:]))
    assert found[1] == told[1]
    assert found[12] == struct.pack(">I", connection.id)
    assert found.get(18) == (None if connection.zone is None else struct.pack(">H", connection.zone))


def test_without_an_id_only_the_tuple_decides() -> None:
    batch = pack([Connection(id=0, protocol=200).message()])
    records, _ = Decoder().decode(batch.data, batch.offsets, batch.lengths)
    request = delete_request(records[0], 1)
    assert set(dict(attributes(request[20:]))) == {1}
    assert request[:16] == message(0x102, 0x5, 1, request[16:])[:16]

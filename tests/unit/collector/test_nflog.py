"""What is asked of the kernel. The listener itself needs real namespaces: tests/functional."""

from __future__ import annotations

import struct

from collector.netlink import HEADER, attributes
from collector.nflog import configuration


def test_the_configuration_asks_for_numbers_and_a_short_copy() -> None:
    request = configuration(300, 9)
    assert HEADER.unpack_from(request)[:4] == (len(request), 0x401, 0x5, 9)
    assert request[18:20] == struct.pack(">H", 300)
    found = dict(attributes(request[20:]))
    assert found[1] == b"\x01"
    assert found[2] == struct.pack(">IBB", 128, 2, 0)
    assert found[6] == struct.pack(">H", 1)
    assert 1 <= struct.unpack(">I", found[4])[0] <= 10

"""Addresses are read from the kernel; this namespace answers too."""

from __future__ import annotations

import pytest

from collector.addresses import addresses_in
from ringfence.errors import NotFound, NotPermitted


def test_loopback_is_left_out() -> None:
    try:
        found = addresses_in("/proc/self/ns/net")
    except NotPermitted as error:
        pytest.skip(str(error))
    assert not any(item.is_loopback for item in found)


def test_a_namespace_that_is_gone_is_said() -> None:
    with pytest.raises(NotFound):
        addresses_in("/proc/0/ns/net")

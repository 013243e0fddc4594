"""Addresses are read from the kernel; this namespace answers too."""

from __future__ import annotations

import os

import pytest

from collector.addresses import addresses_in
from ringfence.errors import NotFound, NotPermitted


def test_loopback_is_left_out_and_without_rights_it_is_said() -> None:
    if os.geteuid() != 0:
        with pytest.raises(NotPermitted):
            addresses_in("/proc/self/ns/net")
        return
    assert not any(item.is_loopback for item in addresses_in("/proc/self/ns/net"))


def test_a_namespace_that_is_gone_is_said() -> None:
    with pytest.raises(NotFound):
        addresses_in("/proc/0/ns/net")

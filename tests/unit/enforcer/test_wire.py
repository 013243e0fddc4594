"""The outer ends of interfaces: who could send frames, and what is said where there is no end to close."""

from __future__ import annotations

from typing import Any

import pytest

from enforcer.wire import may_send_frames, no_outer_end


@pytest.mark.parametrize(
    ("status", "may"),
    [
        ("PPid:\t1\nCapBnd:\t00000000a80425fb\n", True),
        ("PPid:\t1\nCapBnd:\t00000000a80405fb\n", False),
        ("PPid:\t77\nCapBnd:\t00000000a80425fb\n", False),
        ("garbage", False),
    ],
    ids=["an engine's usual rights", "without NET_RAW", "our own tool", "a process that ended"],
)
def test_who_could_send_frames(status: str, may: bool) -> None:
    assert may_send_frames(status, own=77) is may


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"ifname": "eth0", "linkinfo": {"info_kind": "veth"}, "link_netnsid": 0}, ""),
        ({"ifname": "eth0", "linkinfo": {"info_kind": "veth"}}, "both ends of eth0 are inside"),
        ({"ifname": "eth0", "linkinfo": {"info_kind": "macvlan"}, "link_netnsid": 0}, "a macvlan has no end"),
        ({"ifname": "ens3"}, "a device of its own has no end"),
    ],
    ids=["a veth pair", "a pair inside", "macvlan", "hardware"],
)
def test_an_interface_without_an_outer_end_is_named(link: dict[str, Any], said: str) -> None:
    assert said in no_outer_end(link)
    assert bool(said) is bool(no_outer_end(link))

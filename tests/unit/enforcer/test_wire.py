"""The outer ends of interfaces: who could send frames, and what is said where there is no end to close."""

from __future__ import annotations

from typing import Any

import pytest

from enforcer.wire import leads_out, may_send_frames, no_outer_end


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


PAIR = {"ifname": "eth0", "flags": ["UP"], "linkinfo": {"info_kind": "veth"}, "link_netnsid": 0}
INSIDE = {"ifname": "v0", "flags": ["UP"], "linkinfo": {"info_kind": "veth"}}
MACVLAN = {"ifname": "eth1", "flags": ["UP"], "linkinfo": {"info_kind": "macvlan"}, "link_netnsid": 0}
HARDWARE = {"ifname": "ens3", "flags": ["UP"]}
LOOPBACK = {"ifname": "lo", "flags": ["UP", "LOOPBACK"]}
DOWN = {**MACVLAN, "flags": []}


@pytest.mark.parametrize(
    ("link", "out"),
    [(PAIR, True), (MACVLAN, True), (HARDWARE, True), (INSIDE, False), (LOOPBACK, False), (DOWN, False)],
    ids=["veth", "macvlan", "hardware", "a pair inside", "loopback", "down"],
)
def test_what_leads_out(link: dict[str, Any], out: bool) -> None:
    assert leads_out(link) is out


def test_an_interface_without_an_outer_end_is_named() -> None:
    assert no_outer_end(PAIR) == ""
    assert "eth1: a macvlan" in no_outer_end(MACVLAN)
    assert "ens3" in no_outer_end(HARDWARE)

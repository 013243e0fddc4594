"""Everything the demo makes on an engine can be told from what others made."""

from __future__ import annotations

from ipaddress import ip_network

from ringfence.demo.containers import IMAGE, PREFIX, SUBNETS
from ringfence.demo.shop import BACKEND, FRONTEND, LABEL, SHOP


def test_every_member_carries_the_label() -> None:
    assert all(member.labels[LABEL] == "1" for member in SHOP)


def test_the_networks_have_private_ipv6_ranges_that_do_not_meet() -> None:
    front, back = ip_network(SUBNETS[FRONTEND]), ip_network(SUBNETS[BACKEND])
    assert front.is_private
    assert back.is_private
    assert not front.overlaps(back)


def test_names_say_that_they_are_the_demos() -> None:
    assert PREFIX.startswith("shop")
    assert "ringfence" in IMAGE

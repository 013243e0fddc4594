"""Community ID: the values other tools give."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.community_id import community_id

A, B = ip_address("1.2.3.4").packed, ip_address("5.6.7.8").packed


@pytest.mark.parametrize(
    ("protocol", "ports", "expected"),
    [
        (6, (1122, 3344), "1:wCb3OG7yAFWelaUydu0D+125CLM="),
        (17, (1122, 3344), "1:0Mu9InQx6z4ZiCZM/7HXi2WMhOg="),
        (132, (1122, 3344), "1:EKt4MsxuyaE6mL+hmrEkQ9csDD8="),
        (46, (0, 0), "1:ikv3kmf89luf73WPz1jOs49S768="),
    ],
    ids=["tcp", "udp", "sctp", "without ports"],
)
def test_known_values_hold_in_both_directions(protocol: int, ports: tuple[int, int], expected: str) -> None:
    assert community_id(A, B, protocol, *ports) == expected
    assert community_id(B, A, protocol, *ports[::-1]) == expected


def test_an_echo_and_its_reply_have_the_same_known_value() -> None:
    assert community_id(A, B, 1, icmp_type=8) == "1:crodRHL2FEsHjbv3UkRrfbs4bZ0="
    assert community_id(B, A, 1, icmp_type=0) == "1:crodRHL2FEsHjbv3UkRrfbs4bZ0="
    echo = community_id(ip_address("192.168.0.89").packed, ip_address("192.168.0.1").packed, 1, icmp_type=8)
    assert echo == "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="


def test_the_seed_counts() -> None:
    assert community_id(A, B, 6, 1122, 3344, seed=1) == "1:HhA1B+6CoLbiKPEs5nhNYN4XWfk="


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), st.integers(0, 255))
def test_one_way_icmp_keeps_its_direction_and_all_else_does_not(a: bytes, b: bytes, kind: int) -> None:
    assert community_id(a, b, 6, kind, 9) == community_id(b, a, 6, 9, kind)
    if a != b:
        assert community_id(a, b, 1, icmp_type=3) != community_id(b, a, 1, icmp_type=3)

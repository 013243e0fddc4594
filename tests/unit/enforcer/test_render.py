"""One rule as iptables rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcer.names import Family
from enforcer.render import MULTIPORT_SLOTS, Style, access_lines, port_chunks, rule_lines
from ringfence.errors import EnforcementFailed
from ringfence.model.policy import PortInterval
from ringfence.model.ruleset import RulesetRule
from ringfence.model.verdict import Direction
from tests.support.rulesets import access, rule, service

STYLE = Style(mask=0x00FFFF00)
PORT = st.integers(0, 65535)


def lines(item: RulesetRule, family: Family = Family.IPV4, style: Style = STYLE, *, reply: bool = False) -> list[str]:
    found = rule_lines(item, Direction.INGRESS, family, style, lambda name: f"set-{name}", reply=reply)
    return [" ".join(tokens) for tokens in found]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (rule(16, True), ["-j CONNMARK --set-xmark 0x1000/0xffff00", "-j ACCEPT"]),
        (rule(16, False), ["-j NFLOG --nflog-prefix rf:i:16 --nflog-group 21062", "-j DROP"]),
        (
            rule(16, False, None, service(6, 80), reject=True),
            [
                "-p tcp -m multiport --dports 80 -j NFLOG --nflog-prefix rf:i:16 --nflog-group 21062",
                "-p tcp -m multiport --dports 80 -j REJECT --reject-with tcp-reset",
            ],
        ),
        (
            rule(16, False, reject=True),
            [
                "-j NFLOG --nflog-prefix rf:i:16 --nflog-group 21062",
                "-p tcp -j REJECT --reject-with tcp-reset",
                "-j REJECT --reject-with icmp-port-unreachable",
            ],
        ),
    ],
    ids=["allow", "deny", "reject tcp", "reject anything"],
)
def test_a_rule_becomes_these_rules(item: RulesetRule, expected: list[str]) -> None:
    assert lines(item) == expected


def test_peers_match_the_other_end_and_exceptions_do_not() -> None:
    assert lines(rule(16, True, "a", not_peers="b"))[1] == (
        "-m set --match-set set-a src -m set ! --match-set set-b src -j ACCEPT"
    )


def test_an_answer_is_judged_turned_round() -> None:
    assert lines(rule(16, True, "a", service(6, 80)), reply=True)[1] == (
        "-p tcp -m multiport --sports 80 -m set --match-set set-a dst -j ACCEPT"
    )


@pytest.mark.parametrize(("protocol", "family"), [(1, Family.IPV6), (58, Family.IPV4)])
def test_icmp_of_the_other_family_matches_nothing(protocol: int, family: Family) -> None:
    assert lines(rule(16, False, None, service(protocol)), family) == []


def test_icmp_type_and_code_are_matched() -> None:
    wanted = rule(16, True, None, service(58, icmp_type=1, icmp_code=3))
    assert lines(wanted, Family.IPV6)[1] == "-p icmpv6 -m icmp6 --icmpv6-type 1/3 -j ACCEPT"


def test_ports_without_a_protocol_mean_every_protocol_that_has_ports() -> None:
    found = [line for line in lines(rule(16, True, None, service(None, 53))) if line.endswith("ACCEPT")]
    assert [line.split()[1] for line in found] == ["tcp", "udp", "132"]


def test_a_code_without_a_type_is_refused() -> None:
    with pytest.raises(EnforcementFailed):
        lines(rule(16, True, None, service(1, icmp_code=3)))


def test_the_type_that_the_kernel_takes_for_every_type_is_refused_and_is_one_like_others_in_icmpv6() -> None:
    wanted = [rule(16, True, None, service(protocol, icmp_type=255)) for protocol in (1, 58)]
    with pytest.raises(EnforcementFailed, match="every type"):
        lines(wanted[0])
    assert lines(wanted[1], Family.IPV6)[1] == "-p icmpv6 -m icmp6 --icmpv6-type 255 -j ACCEPT"


def test_a_number_that_does_not_fit_the_mark_is_refused() -> None:
    with pytest.raises(EnforcementFailed, match="does not fit"):
        lines(rule(0x10000, True))


def test_a_slot_stands_in_the_mark_beside_the_number() -> None:
    style = Style(mask=0x00FFFF00, accept="RETURN", slot=5)
    assert lines(rule(16, True), style=style) == ["-j CONNMARK --set-xmark 0x5001000/0xffffff00", "-j RETURN"]


@given(st.lists(st.tuples(PORT, PORT).map(sorted), min_size=1, max_size=60))
def test_chunks_hold_every_port_and_fit_multiport(pairs: list[list[int]]) -> None:
    intervals = [PortInterval(first=a, last=b) for a, b in pairs]
    chunks = [chunk.split(",") for chunk in port_chunks(intervals)]
    assert all(sum(1 + (":" in part) for part in chunk) <= MULTIPORT_SLOTS for chunk in chunks)
    back = [part.split(":") for chunk in chunks for part in chunk]
    assert [[int(part[0]), int(part[-1])] for part in back] == pairs


def test_controlled_access_lets_answers_back_only() -> None:
    grant = access(Direction.INGRESS, "10.0.0.0/8", service(6, 22))
    assert [" ".join(line) for line in access_lines(grant, Direction.EGRESS, Family.IPV4)] == [
        "-p tcp -m multiport --sports 22 -d 10.0.0.0/8 -m conntrack --ctdir REPLY -j ACCEPT"
    ]
    assert list(access_lines(grant, Direction.INGRESS, Family.IPV6)) == []

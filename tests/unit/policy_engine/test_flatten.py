from __future__ import annotations

from ipaddress import ip_network

import pytest

from policy_engine import flatten as module
from policy_engine.addresses import addresses
from policy_engine.flatten import FlatTier, Line, Match, RulesetTooLarge, flatten, intersect, intersect_services
from ringfence.model.policy import Action, PortInterval, Service
from ringfence.model.verdict import Direction, RuleRef

TEN = addresses("ten", [ip_network("10.0.0.0/8")])
SUB = addresses("sub", [ip_network("10.1.0.0/16")])


def ref(name: str) -> RuleRef:
    return RuleRef(tier=name, policy="", direction=Direction.INGRESS, index=-1)


def line(name: str, action: Action, match: Match | None = None) -> Line:
    return Line(match or Match(), ref(name), action)


END = line("", Action.ALLOW)


def shape(lines: list[Line]) -> list[tuple[str, str]]:
    return [(item.ref.tier, item.action.value) for item in lines]


def test_no_tiers_leave_the_end_alone() -> None:
    assert flatten([], END) == [END]


def test_a_default_of_pass_lets_the_next_tier_follow() -> None:
    tiers = [
        FlatTier((line("a", Action.ALLOW, Match(include=TEN)),), line("a-default", Action.PASS)),
        FlatTier((), line("b-default", Action.DENY)),
    ]
    assert shape(flatten(tiers, END)) == [("a", "allow"), ("b-default", "deny")]


def test_a_pass_rule_repeats_the_later_tiers_for_what_it_matches() -> None:
    tcp = Service(protocol=6, ports=(PortInterval(first=1, last=9),))
    tiers = [
        FlatTier((line("a", Action.PASS, Match(include=TEN, service=tcp)),), line("a-default", Action.DENY)),
        FlatTier(
            (
                line("b1", Action.ALLOW, Match(include=SUB)),
                line("b2", Action.ALLOW, Match(service=Service(protocol=17))),
                line("b3", Action.REJECT, Match(service=Service(protocol=6, ports=(PortInterval(first=5, last=20),)))),
            ),
            line("b-default", Action.ALLOW),
        ),
    ]
    lines = flatten(tiers, END)
    assert shape(lines) == [("b1", "allow"), ("b3", "reject"), ("b-default", "allow"), ("a-default", "deny")]
    assert lines[0].match.service == tcp
    assert lines[1].match.service.ports == (PortInterval(first=5, last=9),)
    assert lines[2].match == Match(include=TEN, service=tcp)


def test_nothing_follows_a_rule_that_matches_everything() -> None:
    tiers = [FlatTier((line("a", Action.PASS), line("b", Action.DENY)), line("default", Action.DENY))]
    assert shape(flatten(tiers, END)) == [("", "allow")]


def test_rules_that_multiply_are_refused() -> None:
    passes = tuple(line("p", Action.PASS, Match(include=TEN)) for _ in range(40))
    tiers = [FlatTier(passes, line("d", Action.PASS)) for _ in range(4)]
    with pytest.raises(RulesetTooLarge):
        flatten(tiers, END)
    assert module.MAX_LINES < 41**4


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Service(), Service(protocol=6), Service(protocol=6)),
        (Service(protocol=6), Service(protocol=17), None),
        (Service(protocol=1, icmp_type=0), Service(protocol=1, icmp_type=8), None),
        (Service(protocol=1, icmp_type=0), Service(protocol=1), Service(protocol=1, icmp_type=0)),
        (
            Service(protocol=6, ports=(PortInterval(first=1, last=2),)),
            Service(protocol=6, ports=(PortInterval(first=3, last=4),)),
            None,
        ),
    ],
)
def test_services_intersect(one: Service, other: Service, expected: Service | None) -> None:
    assert intersect_services(one, other) == expected
    assert intersect_services(other, one) == expected


def test_exceptions_add_up_and_an_empty_set_is_kept_since_it_may_fill() -> None:
    empty = addresses("nobody", [])
    both = intersect(Match(include=TEN, exclude=SUB), Match(include=empty, exclude=empty))
    assert both is not None
    assert both.include is not None
    assert both.include.members == ()
    assert both.exclude is not None
    assert both.exclude.members == SUB.members

from __future__ import annotations

from ipaddress import ip_network

import pytest

from policy_engine.document import Mapping, Problems, read_document
from policy_engine.reading import Reader
from policy_engine.rules import read_rules, read_sets
from ringfence.model.policy import Action, Peer, Rule, Selector
from ringfence.model.verdict import Direction


def rules_of(text: str, direction: Direction = Direction.INGRESS) -> tuple[tuple[Rule, ...] | None, list[str]]:
    problems = Problems()
    root = read_document(text, problems)
    assert isinstance(root, Mapping)
    reader = Reader(problems)
    sets = read_sets(reader, root)
    return read_rules(reader, root, direction, "p", sets), [str(item) for item in problems.found]


def test_an_absent_list_says_nothing_and_an_empty_one_lets_nothing_through() -> None:
    assert rules_of("egress: []") == (None, [])
    assert rules_of("ingress: []") == ((), [])


def test_a_list_without_a_value_is_ambiguous_and_refused() -> None:
    rules, problems = rules_of("ingress:\n")
    assert rules is None
    assert "write [] to let nothing through" in problems[0]


def test_peers_resolve_sets_and_hold_all_their_criteria() -> None:
    rules, problems = rules_of(
        "sets: {office: [10.1.0.0/16, 2001:db8::/32]}\n"
        "ingress:\n"
        "  - {action: allow, from: {selector: has(a), networks: [office, 192.0.2.1], except: [10.1.1.0/24]}}\n"
    )
    assert not problems
    networks = tuple(ip_network(item) for item in ("10.1.0.0/16", "2001:db8::/32", "192.0.2.1/32"))
    peer = Peer(selector=Selector(text="has(a)"), networks=networks, not_networks=(ip_network("10.1.1.0/24"),))
    assert rules == (Rule(action=Action.ALLOW, peers=(peer,), line=3),)


def test_a_rule_takes_several_peers_and_several_services() -> None:
    rules, problems = rules_of(
        "egress:\n"
        "  - action: reject\n"
        "    name: both\n"
        "    to: [{selector: has(a)}, {networks: [10.0.0.0/8]}]\n"
        "    services: [{protocol: tcp, ports: [1]}, {protocol: 47}]\n",
        Direction.EGRESS,
    )
    assert not problems
    assert rules is not None
    assert (len(rules[0].peers), [item.protocol for item in rules[0].services]) == (2, [6, 47])
    assert (rules[0].action, rules[0].name) == (Action.REJECT, "both")


def test_a_rule_without_peers_or_services_means_all_of_them() -> None:
    assert rules_of("ingress: [{action: deny}]")[0] == (Rule(action=Action.DENY, line=1),)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ingress: [{}]", "`action` is missing"),
        ("ingress: [allow]", "expected keys and values"),
        ("ingress: [{action: permit}]", "none of allow, deny, reject, pass"),
        ("ingress: [{action: allow, to: {selector: all()}}]", "names the other end with `from`"),
        ("ingress: [{action: allow, from: {}}]", "an empty peer"),
        ("ingress: [{action: allow, from: []}]", "an empty list; leave `from` out"),
        ("ingress: [{action: allow, from: {selector: ''}}]", "an empty selector"),
        ("ingress: [{action: allow, from: {networks: []}}]", "an empty list; leave `networks` out"),
        ("ingress: [{action: allow, from: {except: []}}]", "an empty list; leave `except` out"),
        ("ingress: [{action: allow, services: []}]", "an empty list; leave `services` out"),
        ("ingress: [{action: allow, services: [{}]}]", "`protocol` is missing"),
        ("ingress: [{action: allow, protocol: tcp, services: [{protocol: udp}]}]", "use one form"),
        ("ingress: [{action: allow, from: {networks: [10.1.2.3/16]}}]", "did you mean 10.1.0.0/16?"),
        ("ingress: [{action: allow, from: {networks: [10.1.2.3/33]}}]", "no possible prefix length"),
        ("ingress: [{action: allow, from: {networks: ['fe80::1%eth0']}}]", "is no network or set"),
        (
            "sets: {office: [10.0.0.0/8]}\ningress: [{action: allow, from: {networks: [offcie]}}]",
            "did you mean `office`",
        ),
        ("sets: {office: []}", "an empty set"),
        ("sets: {office: 10.0.0.0/8}", "expected a list"),
        ("sets: {10.0.0.1: [10.0.0.0/8]}", "is no name for a set"),
        ("sets: {a: [b], b: [10.0.0.0/8]}", "`b` is no network"),
        ("sets: []", "expected set names"),
    ],
)
def test_nothing_empty_or_unknown_widens_a_rule(text: str, part: str) -> None:
    _, problems = rules_of(text)
    assert len(problems) == 1, problems
    assert part in problems[0]

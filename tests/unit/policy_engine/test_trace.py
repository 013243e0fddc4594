"""The trace says what was asked, in order, and ends where the evaluator ends."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy_engine.endpoint import Endpoint, Request
from policy_engine.evaluate import evaluate
from policy_engine.parse import parse_policy
from policy_engine.trace import Ending, Trace, trace_direction, trace_flow
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Direction, Mode
from tests.support.estate import flow_row
from tests.support.judge import Packet
from tests.support.policies import policy_sets, random_packets

TEXT = """\
version: 1
groups:
  - {name: databases, selector: "role == 'db'", mode: protect}
tiers:
  - {name: guard, default: pass}
  - {name: elsewhere}
  - {name: application}
  - {name: last}
policies:
  - name: known-bad
    tier: guard
    selector: all()
    ingress:
      - {action: deny, from: {networks: [192.0.2.0/24]}}
      - {action: pass, from: {selector: "role == 'api'"}, protocol: tcp}
  - {name: mail-only, tier: elsewhere, selector: "role == 'mail'", ingress: []}
  - name: db
    tier: application
    selector: "role == 'db'"
    ingress:
      - {action: allow, from: {selector: "role == 'api'"}, protocol: tcp, ports: [3306]}
      - {action: allow, from: {selector: "role == 'web'"}, protocol: tcp, ports: [5432]}
      - action: allow
        from: {selector: "role == 'api'"}
        protocol: tcp
        ports: [5432]
      - {action: deny}
  - {name: all, tier: last, selector: all(), ingress: []}
"""
POLICIES = parse_policy(TEXT)
API, DB = (Endpoint(name=role, labels={"role": role}) for role in ("api", "db"))
POSTGRES = Request(protocol=6, port=5432)


def line_of(part: str) -> int:
    return next(number for number, line in enumerate(TEXT.splitlines(), 1) if part in line)


def ingress(source: Endpoint = API, destination: Endpoint = DB, request: Request = POSTGRES) -> Trace:
    return trace_direction(POLICIES, Direction.INGRESS, source, destination, request)


def test_every_tier_stands_in_order_with_how_it_ended() -> None:
    assert [(tier.name, tier.ending) for tier in ingress().tiers] == [
        ("guard", Ending.PASSED),
        ("elsewhere", Ending.SKIPPED),
        ("application", Ending.RULE),
        ("last", Ending.NOT_ASKED),
    ]


def test_the_rules_that_were_looked_at_say_what_did_not_match_and_where_they_stand() -> None:
    tier = ingress().tiers[2]
    (policy,) = tier.policies
    assert [(rule.peer, rule.service) for rule in policy.rules] == [(True, False), (False, True), (True, True)]
    assert (policy.unasked, policy.line) == (1, line_of("- name: db"))
    assert (str(tier.ref), tier.ended_at) == ("application/db/ingress/2", line_of("- action: allow"))
    assert ingress().tiers[0].ended_at == line_of("action: pass")
    assert ingress().tiers[3].ended_at == ingress().tiers[3].line == line_of("name: last")
    assert ingress().tiers[1].others == 1


def test_a_default_that_decides_or_passes_is_told_as_one() -> None:
    mail = Endpoint(name="mail", labels={"role": "mail"})
    trace = ingress(destination=mail, request=Request(protocol=17, port=53))
    assert [tier.ending for tier in trace.tiers] == [
        Ending.PASSED, Ending.DEFAULT, Ending.NOT_ASKED, Ending.NOT_ASKED
    ]  # fmt: skip
    assert [str(tier.ref) for tier in trace.tiers[:2]] == ["guard/ingress/default", "elsewhere/ingress/default"]
    assert trace.tiers[1].line == line_of("name: elsewhere")
    assert trace.verdict.denied


@pytest.mark.parametrize(
    ("end", "judged", "mode"),
    [
        (DB, True, Mode.PROTECT),
        (API, True, Mode.DISCOVER),
        (Endpoint(name="192.0.2.1"), False, None),
        (Endpoint(name="partner", labels={"role": "db"}, governed=False), False, None),
    ],
    ids=["protected", "discovered", "outside", "named-network"],
)
def test_an_end_is_judged_when_it_is_a_workload_of_ours(end: Endpoint, judged: bool, mode: Mode | None) -> None:
    trace = ingress(destination=end)
    assert (trace.judged, trace.mode) == (judged, mode)
    if not judged:
        assert {tier.ending for tier in trace.tiers} == {Ending.SKIPPED}


def test_a_flow_is_asked_by_its_own_labels_and_by_what_each_end_saw() -> None:
    row = flow_row(1, dst_ip="10.0.0.99", dst_port=80, nat_dst_ip="10.0.0.3", nat_dst_port=5432)
    found = trace_flow(POLICIES, row)
    assert str(found.ingress.verdict.rule) == "application/db/ingress/2"
    assert "tcp/80" in found.egress.verdict.sentence
    assert found.connection == found.ingress.verdict
    assert trace_flow(POLICIES, row | {"dst_kind": "host"}).ingress.mode is None


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(policies=policy_sets(), seed=st.integers(0, 2**32 - 1))
def test_the_trace_ends_in_the_evaluators_verdict(policies: PolicySet, seed: int) -> None:
    for packet in random_packets(random.Random(seed), 20):
        source, destination, request = _ends(packet)
        decision = evaluate(policies, source, destination, request)
        for direction, verdict in ((Direction.EGRESS, decision.egress), (Direction.INGRESS, decision.ingress)):
            trace = trace_direction(policies, direction, source, destination, request)
            assert trace.verdict == verdict
            _check_order(policies, trace)


def _ends(packet: Packet) -> tuple[Endpoint, Endpoint, Request]:
    return (
        Endpoint(name="s", labels=packet.source_labels, address=packet.source, governed=packet.source_governed),
        Endpoint(
            name="d",
            labels=packet.destination_labels,
            address=packet.destination,
            governed=packet.destination_governed,
        ),
        Request(protocol=packet.protocol, port=packet.port, icmp_type=packet.icmp_type, icmp_code=packet.icmp_code),
    )


def _check_order(policies: PolicySet, trace: Trace) -> None:
    """Every tier once, at most one that decides, everything behind it not asked, and only the last rule matches."""
    assert [tier.name for tier in trace.tiers] == [tier.name for tier in policies.tiers]
    endings = [tier.ending for tier in trace.tiers]
    final = [index for index, ending in enumerate(endings) if ending in (Ending.RULE, Ending.DEFAULT)]
    assert len(final) <= 1
    first_unasked = final[0] + 1 if final else len(endings)
    assert {ending is Ending.NOT_ASKED for ending in endings[:first_unasked]} <= {False}
    assert {ending is Ending.NOT_ASKED for ending in endings[first_unasked:]} <= {True}
    for tier in trace.tiers:
        asked = [rule.matches for policy in tier.policies for rule in policy.rules]
        assert not any(asked[:-1])
        assert (tier.ref is not None and tier.ref.index >= 0) == bool(asked and asked[-1])

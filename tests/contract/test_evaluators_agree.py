"""The slow judge, the evaluator, its trace, the masks, the batch judge and the executed ruleset give one verdict."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy_engine.compile import compile_rulesets
from policy_engine.endpoint import Endpoint, Request
from policy_engine.evaluate import evaluate, rule_of
from policy_engine.judge import Judge
from policy_engine.trace import trace_direction, trace_flow
from policy_engine.verdicts import Verdicts
from ringfence.model.policy import Action, PolicySet
from ringfence.model.ruleset import DEFAULT_ALLOW_RULE, Ruleset
from ringfence.model.verdict import Direction, Outcome, RuleRef
from ringfence.model.workload import Address, Workload
from tests.support.fake_ruleset import execute
from tests.support.judge import Packet, slow_connection, slow_direction
from tests.support.policies import (
    HELD,
    INVENTORY,
    end_columns,
    external,
    flow_row,
    flow_table,
    held_by,
    policy_sets,
    random_packets,
)

PACKETS_PER_POLICY = 50
POLICIES = 200
OWNERS: dict[Address, Workload] = {address: item for item in INVENTORY for address in held_by(item)}


def number_of(ref: RuleRef) -> int:
    """A stable number per reference, whatever the order of asking."""
    return 16 + sum(ord(letter) * (index + 7) for index, letter in enumerate(str(ref)))


def ends(packet: Packet) -> tuple[Endpoint, Endpoint, Request]:
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


def check_evaluators(policies: PolicySet, verdicts: Verdicts, packet: Packet) -> None:
    source, destination, request = ends(packet)
    slow, fast = evaluate(policies, source, destination, request), verdicts.decide(source, destination, request)
    assert fast == slow
    for direction, verdict in ((Direction.INGRESS, slow.ingress), (Direction.EGRESS, slow.egress)):
        allowed, rule = slow_direction(policies, direction, packet)
        assert (verdict.outcome is Outcome.ALLOWED, str(verdict.rule)) == (allowed, rule)
        assert trace_direction(policies, direction, source, destination, request).verdict == verdict
    assert (slow.connection.outcome is Outcome.ALLOWED) == slow_connection(policies, packet)


def action_of(policies: PolicySet, ref: RuleRef) -> Action:
    """What the referenced rule or default says."""
    rule = rule_of(policies, ref)
    if rule is not None:
        return rule.action
    return next((tier.default for tier in policies.tiers if tier.name == ref.tier), Action.ALLOW)


def check_rulesets(policies: PolicySet, rulesets: dict[str, Ruleset], packet: Packet) -> None:
    _, _, request = ends(packet)
    for direction, own, peer in (
        (Direction.INGRESS, packet.destination, packet.source),
        (Direction.EGRESS, packet.source, packet.destination),
    ):
        allowed, rule = slow_direction(policies, direction, packet)
        if own not in OWNERS:
            continue
        executed = execute(rulesets[OWNERS[own].id], direction, peer, request)
        assert (executed.allow, str(executed.ref)) == (allowed, rule)
        action = action_of(policies, executed.ref)
        assert executed.reject is (action is Action.REJECT)
        expected = DEFAULT_ALLOW_RULE if not executed.ref.tier else number_of(executed.ref)
        assert executed.number == expected


def check_batch(policies: PolicySet, packets: Sequence[Packet]) -> None:
    rows = []
    for number, packet in enumerate(packets):
        columns: dict[str, object] = {
            "src_ip": str(packet.source),
            "dst_ip": str(packet.destination),
            "protocol": packet.protocol,
            "dst_port": packet.port,
            "icmp_type": packet.icmp_type,
            "icmp_code": packet.icmp_code,
        }
        for side, address in (("src", packet.source), ("dst", packet.destination)):
            known = OWNERS.get(address) or external(address)
            if known is not None:
                columns |= end_columns(side, known, address.version) | {f"{side}_ip": str(address)}
        rows.append(flow_row(number, **columns))
    judged = Judge(policies, 7).judge(flow_table(rows)).flows.to_pylist()
    for packet, row in zip(packets, judged, strict=True):
        judged_at_all = packet.source_labels is not None or packet.destination_labels is not None
        expected = ("allowed" if slow_connection(policies, packet) else "denied") if judged_at_all else None
        assert row["staged"] == expected
        assert row["revision"] == 7
        if judged_at_all:
            traced = trace_flow(policies, row).connection
            assert (traced.outcome, str(traced.rule), traced.sentence) == tuple(
                row[name] for name in ("staged", "staged_rule", "staged_sentence")
            )


@settings(max_examples=POLICIES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(policies=policy_sets(), seed=st.integers(0, 2**32 - 1))
def test_ten_thousand_packets_get_one_verdict_from_every_evaluator(policies: PolicySet, seed: int) -> None:
    packets = random_packets(random.Random(seed), PACKETS_PER_POLICY)
    verdicts = Verdicts(policies)
    rulesets = compile_rulesets(policies, INVENTORY, number_of, HELD)
    for packet in packets:
        check_evaluators(policies, verdicts, packet)
        check_rulesets(policies, rulesets, packet)
    check_batch(policies, packets)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(policies=policy_sets())
def test_every_list_ends_in_a_rule_for_everything_and_names_only_sets_that_exist(policies: PolicySet) -> None:
    for ruleset in compile_rulesets(policies, INVENTORY, number_of, HELD).values():
        names = {item.name for item in ruleset.sets}
        assert all(len(name) <= 27 for name in names)
        for direction in Direction:
            last = ruleset.rules(direction)[-1]
            assert (last.peers, last.not_peers) == (None, None)
            assert last.service.protocol is None
            used = {name for rule in ruleset.rules(direction) for name in (rule.peers, rule.not_peers) if name}
            assert used <= names

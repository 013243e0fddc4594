from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy_engine.endpoint import Endpoint, Request
from policy_engine.lint import lint, rule_covers
from policy_engine.matching import rule_matches
from policy_engine.parse import parse_policy
from ringfence.model.policy import PolicySet, Rule
from tests.support.policies import random_packets, rules

TEXT = """\
version: 1
groups:
  - {name: every, selector: all(), mode: monitor}
  - {name: late, selector: has(a), mode: protect}
tiers: [{name: empty}, {name: t}]
policies:
  - name: p
    tier: t
    selector: all()
    ingress:
      - {action: allow, from: {networks: [10.0.0.0/8]}, protocol: tcp, ports: ["80-90"]}
      - {action: deny, from: {networks: [10.1.0.0/16]}, protocol: tcp, ports: [81, 85]}
      - {action: allow, from: {networks: [10.2.0.0/16]}, protocol: tcp, ports: [80]}
      - {action: deny, from: {networks: [10.2.0.0/16]}, protocol: tcp, ports: [80, 91]}
      - {action: deny}
      - {action: allow, from: {selector: has(a)}}
"""


def test_dead_rules_groups_and_tiers_are_named_with_their_lines() -> None:
    assert [str(item) for item in lint(parse_policy(TEXT))] == [
        "line 4: groups.late: never counts: group every matches the same workloads before it",
        "line 5: tiers.empty: no policy is in this tier",
        "line 12: p.ingress[1]: rule 2 is shadowed: rule 1 (allow) matches all that it matches",
        "line 13: p.ingress[2]: rule 3 is redundant: rule 1 (allow) matches all that it matches",
        "line 16: p.ingress[5]: rule 6 is shadowed: rule 5 (deny) matches all that it matches",
    ]


def test_the_empty_policy_has_nothing_to_warn_about() -> None:
    assert lint(PolicySet()) == ()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(rules, rules, st.integers(0, 2**32 - 1))
def test_a_covering_rule_matches_whatever_the_covered_one_matches(one: Rule, other: Rule, seed: int) -> None:
    if not rule_covers(one, other):
        return
    for packet in random_packets(random.Random(seed), 30):
        end = Endpoint(name="x", labels=packet.source_labels, address=packet.source)
        request = Request(
            protocol=packet.protocol, port=packet.port, icmp_type=packet.icmp_type, icmp_code=packet.icmp_code
        )
        assert not rule_matches(other, end, request) or rule_matches(one, end, request)


@given(rules)
def test_every_rule_covers_itself(rule: Rule) -> None:
    assert rule_covers(rule, rule)

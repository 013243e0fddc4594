from __future__ import annotations

from policy_engine.endpoint import Endpoint, Request
from policy_engine.evaluate import evaluate
from policy_engine.parse import parse_policy
from policy_engine.verdicts import Verdicts
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Direction

TEXT = """\
version: 1
tiers: [{name: t}]
policies:
  - {name: p, tier: t, selector: "role == 'db'", ingress: [{action: allow, from: {selector: "role == 'api'"}}]}
"""


def test_the_fast_verdict_is_the_slow_one_with_its_sentence() -> None:
    policies = parse_policy(TEXT)
    verdicts = Verdicts(policies)
    ends = [Endpoint(name=role, labels={"role": role}) for role in ("api", "db", "web")] + [Endpoint(name="outside")]
    for source in ends:
        for destination in ends:
            request = Request(protocol=6, port=1)
            slow = evaluate(policies, source, destination, request)
            assert verdicts.decide(source, destination, request) == slow


def test_selected_says_whether_any_policy_of_that_direction_applies() -> None:
    verdicts = Verdicts(parse_policy(TEXT))
    database = Endpoint(name="db", labels={"role": "db"})
    assert verdicts.selected(Direction.INGRESS, database)
    assert not verdicts.selected(Direction.EGRESS, database)
    assert not Verdicts(PolicySet()).selected(Direction.INGRESS, database)

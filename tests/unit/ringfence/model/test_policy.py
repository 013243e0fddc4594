from __future__ import annotations

from ringfence.model.policy import Action, Policy, PolicySet, Problem, Rule, Selector, Tier
from ringfence.model.verdict import Direction, Mode


def test_a_direction_without_rules_is_not_a_direction_that_nobody_spoke_of() -> None:
    policy = Policy(name="p", tier="t", selector=Selector(text="all()"), ingress=())
    assert policy.rules(Direction.INGRESS) == ()
    assert policy.rules(Direction.EGRESS) is None


def test_what_is_not_said_is_safe() -> None:
    assert Tier(name="t").default is Action.DENY
    assert PolicySet().default_mode is Mode.DISCOVER
    assert Rule(action=Action.ALLOW).peers == ()


def test_problems_are_ordered_by_line_and_read_as_a_sentence() -> None:
    problems = [Problem(line=3, path="tiers[0]", message="unknown"), Problem(line=1, path="z", message="x")]
    assert [problem.line for problem in sorted(problems)] == [1, 3]
    assert str(problems[0]) == "line 3: tiers[0]: unknown"

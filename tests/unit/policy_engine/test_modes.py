from __future__ import annotations

from policy_engine.modes import mode_of
from ringfence.model.policy import Group, PolicySet, Selector
from ringfence.model.verdict import Mode


def test_the_first_matching_group_counts_and_the_default_holds_for_the_rest() -> None:
    policies = PolicySet(
        groups=(
            Group(name="a", selector=Selector(text="has(a)"), mode=Mode.MONITOR),
            Group(name="b", selector=Selector(text="has(b)"), mode=Mode.PROTECT),
        )
    )
    assert mode_of(policies, {"a": "", "b": ""}) is Mode.MONITOR
    assert mode_of(policies, {"b": ""}) is Mode.PROTECT
    assert mode_of(policies, {}) is Mode.DISCOVER


def test_the_empty_policy_discovers() -> None:
    assert mode_of(PolicySet(), {"a": "b"}) is Mode.DISCOVER

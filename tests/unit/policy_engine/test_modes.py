from __future__ import annotations

from policy_engine.modes import mode_in, mode_of
from ringfence.model.policy import Group, PolicySet, Selector
from ringfence.model.verdict import Mode
from ringfence.model.workload import WorkloadKind
from tests.support.policies import workload


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


def test_hosts_and_what_is_outside_are_in_no_mode() -> None:
    policies = PolicySet(default_mode=Mode.PROTECT)
    modes = {kind: mode_in(policies, workload("w", {}, kind=kind)) for kind in WorkloadKind}
    assert [kind.value for kind, mode in modes.items() if mode is None] == ["host", "external"]
    assert modes[WorkloadKind.CONTAINER] is Mode.PROTECT

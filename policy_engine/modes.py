"""Which mode a workload is in: the first group that selects it says so, else the policy's default."""

from __future__ import annotations

from collections.abc import Mapping

from policy_engine.matching import selects
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Mode
from ringfence.model.workload import Workload, WorkloadKind

UNRULED = (WorkloadKind.HOST, WorkloadKind.EXTERNAL)
"""Kinds that no rules are written for."""


def mode_of(policies: PolicySet, labels: Mapping[str, str]) -> Mode:
    return next((group.mode for group in policies.groups if selects(group.selector, labels)), policies.default_mode)


def mode_in(policies: PolicySet, workload: Workload) -> Mode | None:
    """The mode of a workload that rules are written for; None for hosts and what is outside."""
    return None if workload.kind in UNRULED else mode_of(policies, workload.labels)

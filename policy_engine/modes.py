"""Which mode a workload is in: the first group that selects it says so, else the policy's default."""

from __future__ import annotations

from collections.abc import Mapping

from policy_engine.matching import selects
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Mode


def mode_of(policies: PolicySet, labels: Mapping[str, str]) -> Mode:
    return next((group.mode for group in policies.groups if selects(group.selector, labels)), policies.default_mode)

"""What an enforcer says about one workload: what is in force, since when, and when that was last seen in the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ringfence.model.quarantine import Check


class EnforcementState(StrEnum):
    IN_FORCE = "in force"
    PARTIAL = "partial"
    FAILED = "failed"
    NOT_CONTAINABLE = "not containable"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """`digest` is that of the `Ruleset`; `checks` is the proof; `drifts` counts repairs since `since`."""

    workload: str
    host: str
    state: EnforcementState
    digest: str
    since: datetime
    verified: datetime | None = None
    reason: str = ""
    checks: tuple[Check, ...] = ()
    drifts: int = 0
    last_drift: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How far one revision of the policy has come on one host.

    Of `workloads`, which have rules, `states` counts those that were reported with the rules of this revision; the rest
    wait.
    """

    revision: int
    workloads: int
    states: Mapping[EnforcementState, int]

    def facts(self) -> dict[str, int]:
        """Plain figures, as a host reports them: `revision`, `workloads`, and each state that any workload is in."""
        counts = {state.value: self.states[state] for state in EnforcementState if self.states.get(state)}
        return {"revision": self.revision, "workloads": self.workloads, **counts}

    @classmethod
    def of_facts(cls, facts: Any) -> Rollout | None:
        """The inverse of `facts`; None for what is none, as from a host of an older version."""
        if not isinstance(facts, Mapping) or not {"revision", "workloads"} <= facts.keys():
            return None
        if not all(isinstance(value, int) for value in facts.values()):
            return None
        states = {state: facts[state.value] for state in EnforcementState if facts.get(state.value)}
        return cls(revision=facts["revision"], workloads=facts["workloads"], states=states)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Rules found changed and put back; `open_seconds` is how long they were known or suspected to be wrong."""

    workload: str
    found: datetime
    repaired: datetime
    what: str

    @property
    def open_seconds(self) -> float:
        return (self.repaired - self.found).total_seconds()

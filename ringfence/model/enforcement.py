"""What an enforcer says about one workload: what is in force, since when, and when that was last seen in the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

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
class Drift:
    """Rules found changed and put back; `open_seconds` is how long they were known or suspected to be wrong."""

    workload: str
    found: datetime
    repaired: datetime
    what: str

    @property
    def open_seconds(self) -> float:
        return (self.repaired - self.found).total_seconds()

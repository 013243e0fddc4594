"""Findings: what a person or an automation must act on, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class FindingKind(StrEnum):
    POLICY_VIOLATION = "policy violation"
    COMPLIANCE = "compliance"
    DETECTION = "detection"
    DRIFT = "drift"


class FindingState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SUPPRESSED = "suppressed"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding per (kind, workload, peer, rule): a repetition raises `count` and moves `last_seen`.

    `key` is that combination as text and is unique among open findings; `flows` are ids of evidence (at most 20).
    """

    id: str
    key: str
    kind: FindingKind
    severity: Severity
    sentence: str
    workload: str | None = None
    workload_name: str | None = None
    peer: str | None = None
    peer_name: str | None = None
    rule: str | None = None
    staged: bool = False
    technique: str | None = None
    count: int = 1
    flows: tuple[str, ...] = ()
    first_seen: datetime
    last_seen: datetime
    state: FindingState = FindingState.OPEN
    suppressed_until: datetime | None = None
    response: str | None = None

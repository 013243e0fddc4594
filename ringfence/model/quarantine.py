"""Quarantine: what was ordered, by whom, until when, and the proof that it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ringfence.model.policy import Network, Service
from ringfence.model.verdict import Direction


class QuarantineState(StrEnum):
    APPLYING = "applying"
    VERIFIED = "verified"
    PARTIAL = "partial"
    FAILED = "failed"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlledAccess:
    """One exception to a quarantine, for forensics: a network and a service in one direction."""

    direction: Direction
    network: Network
    service: Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One step of a proof, such as `probe from inside`; `detail` is what was seen."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was observed on the host, and when. A state is `verified` only if every check passed."""

    at: datetime
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """An isolation order and where it stands. `expires` None never happens: an order without expiry is refused."""

    id: str
    workload: str
    workload_name: str
    host: str
    state: QuarantineState
    reason: str
    author: str
    created: datetime
    expires: datetime
    access: tuple[ControlledAccess, ...] = ()
    proof: Proof | None = None
    released: datetime | None = None
    released_by: str | None = None
    connections_cut: int | None = None
    finding: str | None = None

    @property
    def active(self) -> bool:
        return self.state is not QuarantineState.RELEASED

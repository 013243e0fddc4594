"""Verdicts: what was, or would be, done with a connection, by which rule, and the sentence that explains it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Ingress is judged at the destination workload, egress at the source, as NetworkPolicy defines it."""

    INGRESS = "ingress"
    EGRESS = "egress"


class Outcome(StrEnum):
    ALLOWED = "allowed"
    DENIED = "denied"


class Basis(StrEnum):
    """`EXPLICIT`: a rule said so. `DEFAULT`: nothing matched."""

    EXPLICIT = "explicit"
    DEFAULT = "default"


class Mode(StrEnum):
    """How far a workload group has come: learn, report what would be denied, deny."""

    DISCOVER = "discover"
    MONITOR = "monitor"
    PROTECT = "protect"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RuleRef:
    """Names one rule: `application/db-only-5432/ingress/0`. `index` -1 is the default of the tier or of the product."""

    tier: str
    policy: str
    direction: Direction
    index: int

    def __str__(self) -> str:
        position = "default" if self.index < 0 else str(self.index)
        return "/".join(part for part in (self.tier, self.policy, self.direction.value, position) if part)


UNENFORCED_TIER = "not-enforced"
"""Stands for a tier in the reference of what is let through because the workload is not in `protect`."""
QUARANTINE_TIER = "quarantine"
"""Stands for a tier in the reference of what a quarantine drops."""
RESERVED_TIERS = frozenset({UNENFORCED_TIER, QUARANTINE_TIER})


def parse_ref(text: str) -> RuleRef | None:
    """The inverse of `str(RuleRef)`; None for text that names no rule."""
    *owner, direction, position = ["", "", *text.split("/")][-4:]
    if direction not in set(Direction) or text.count("/") > 3:
        return None
    tier, policy = owner if owner[0] else (owner[1], "")
    if position == "default":
        return RuleRef(tier=tier, policy=policy, direction=Direction(direction), index=-1)
    if not (policy and position.isascii() and position.isdecimal()):
        return None
    return RuleRef(tier=tier, policy=policy, direction=Direction(direction), index=int(position))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision for one direction, or for the whole connection (the stricter of the two)."""

    outcome: Outcome
    basis: Basis
    rule: RuleRef | None
    sentence: str

    @property
    def denied(self) -> bool:
        return self.outcome is Outcome.DENIED

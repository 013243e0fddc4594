"""The five ways a flow is shown; colour, shape and word are the same wherever a verdict stands."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from ringfence.model.verdict import QUARANTINE_TIER
from web import tokens


class Shown(StrEnum):
    """Names of the icon and of the CSS class."""

    ALLOWED = "allowed"
    DENIED = "denied"
    STAGED = "staged-denied"
    QUARANTINED = "quarantined"
    UNKNOWN = "unknown"


WORDS: dict[Shown, str] = {
    Shown.ALLOWED: "allowed",
    Shown.DENIED: "denied",
    Shown.STAGED: "would be denied",
    Shown.QUARANTINED: "quarantined",
    Shown.UNKNOWN: "not judged",
}
TERMS: dict[Shown, str] = {
    Shown.ALLOWED: "verdict: allowed",
    Shown.DENIED: "verdict: denied",
    Shown.STAGED: "staged: denied and not verdict: denied",
    Shown.QUARANTINED: f"rule: {QUARANTINE_TIER}/*",
    Shown.UNKNOWN: "not verdict: *",
}
"""The filter that finds such flows."""


def only(text: str, kind: Shown) -> str:
    """A filter narrowed to flows that are shown like this, instead of to those of another verdict."""
    parts = {part for term in TERMS.values() for part in tokens.split(term)}
    kept = [token for token in tokens.split(text) if token not in parts]
    return tokens.joined([*kept, *tokens.split(TERMS[kind])])


def shown(row: Mapping[str, Any]) -> Shown:
    """How one flow is shown: what happened first, then what would have happened."""
    if row.get("enforced") == "denied":
        return Shown.QUARANTINED if str(row.get("rule") or "").startswith(f"{QUARANTINE_TIER}/") else Shown.DENIED
    if row.get("staged") == "denied":
        return Shown.STAGED
    return Shown.ALLOWED if row.get("enforced") == "allowed" else Shown.UNKNOWN


def of_counts(flows: int, denied: int, staged_denied: int) -> Shown:
    """How a group of flows is shown: by the worst among them."""
    if denied:
        return Shown.DENIED
    if staged_denied:
        return Shown.STAGED
    return Shown.ALLOWED if flows else Shown.UNKNOWN

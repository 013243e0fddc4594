"""Verdicts: what the kernel did with each flow and by which rule, read from connection marks and denied packets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from collector.legs import LegKind, gather
from ringfence.model.ruleset import QUARANTINE_RULE, reserved_ref
from ringfence.model.verdict import Basis, Direction, Outcome, RuleRef

Column = NDArray[Any]


class Verdicts:
    """Names rules by their numbers. A number nobody knows gives no name: no record guesses a rule."""

    def __init__(self, *, mark_mask: int, rule_names: Callable[[int], RuleRef | None]) -> None:
        """`mark_mask`: the bits of the connection mark that carry the rule number.

        `rule_names` remembers what it can: the name behind a number changes with the policy.
        """
        self._mask, self._shift = mark_mask, (mark_mask & -mark_mask).bit_length() - 1
        self._lookup = rule_names

    def columns(self, flow: Column, legs: Column) -> dict[str, Any]:
        """The verdict columns of `FLOW` records (n,) whose legs stand in `legs`."""
        denied = flow["denied"] >= 0
        packet = gather(legs, flow["denied"])
        numbers = {
            Direction.EGRESS: np.where(
                denied & (packet["kind"] == LegKind.DENIED_EGRESS), packet["rule"], self._numbers(flow["src"], legs)
            ),
            Direction.INGRESS: np.where(
                denied & (packet["kind"] == LegKind.DENIED_INGRESS), packet["rule"], self._numbers(flow["dst"], legs)
            ),
        }
        self._take_host_rules(numbers, self._numbers(flow["host"], legs))
        ingress = denied & (packet["kind"] == LegKind.DENIED_INGRESS)
        chosen = _choose(numbers, denied, ingress)
        key = np.stack([numbers[Direction.EGRESS], numbers[Direction.INGRESS], chosen], axis=1)
        unique, back = np.unique(key, axis=0, return_inverse=True)
        back = pa.array(back.reshape(-1))
        rows = [self._names_of(*row) for row in unique.tolist()]
        names = ("egress_rule", "ingress_rule", "rule", "enforced_basis")
        return {
            "enforced": pa.array([Outcome.ALLOWED.value, Outcome.DENIED.value]).take(pa.array(denied.astype(np.int64))),
            **{name: pa.array([row[i] for row in rows], pa.string()).take(back) for i, name in enumerate(names)},
        }

    def name(self, number: int, direction: Direction) -> RuleRef | None:
        """The rule with this number; None for 0 and for one nobody knows."""
        return (reserved_ref(number, direction) or self._lookup(number)) if number else None

    def _numbers(self, leg: Column, legs: Column) -> Column:
        number = (legs["mark"][leg].astype(np.int64) & self._mask) >> self._shift
        return np.where(leg >= 0, number, 0)

    def _take_host_rules(self, numbers: dict[Direction, Column], host: Column) -> None:
        """A workload that is enforced on the host side has its rule in the mark there; the rule knows its direction."""
        for number in np.unique(host[host > 0]).tolist():
            ref = self._lookup(number)
            if ref is not None:
                empty = (host == number) & (numbers[ref.direction] == 0)
                numbers[ref.direction][empty] = number

    def _names_of(self, egress: int, ingress: int, chosen: int) -> tuple[str | None, str | None, str | None, str]:
        """Egress, ingress and deciding rule and the basis; `chosen` 1: egress decided, 2: ingress, 0: no rule."""
        refs = (self.name(egress, Direction.EGRESS), self.name(ingress, Direction.INGRESS))
        texts = [None if ref is None else str(ref) for ref in refs]
        number = (0, egress, ingress)[chosen]
        ref = refs[chosen - 1] if chosen else None
        explicit = number == QUARANTINE_RULE or (ref is not None and ref.index >= 0)
        basis = Basis.EXPLICIT if explicit else Basis.DEFAULT
        return texts[0], texts[1], texts[chosen - 1] if chosen else None, basis.value


def _choose(numbers: dict[Direction, Column], denied: Column, ingress: Column) -> Column:
    """Which side's rule decided: the one that denied; of two that allowed, a policy's rule before a default, and the
    destination's before the source's."""
    first_policy_rule = 16
    out, into = numbers[Direction.EGRESS], numbers[Direction.INGRESS]
    allowed = np.where(
        into >= first_policy_rule,
        2,
        np.where(out >= first_policy_rule, 1, np.where(into > 0, 2, np.where(out > 0, 1, 0))),
    )
    return np.where(denied, np.where(ingress, 2, 1), allowed)

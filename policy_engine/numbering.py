"""What of a policy gets a number in the kernel: every rule and default that can decide, known by its content.

A rule keeps its number wherever it stands in its policy, so that a rule put before it changes no other number.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator

from ringfence.model.policy import Action, Policy, PolicySet
from ringfence.model.verdict import Direction, RuleRef


def numbered(policies: PolicySet) -> tuple[tuple[RuleRef, str], ...]:
    """References with the digest of what they do; no two of one policy and direction have the same digest."""
    return tuple(
        pair
        for tier in policies.tiers
        for direction in Direction
        for pair in (
            *_default(RuleRef(tier=tier.name, policy="", direction=direction, index=-1), tier.default),
            *(pair for policy in tier.policies for pair in _rules(policy, direction)),
        )
    )


def _default(ref: RuleRef, action: Action) -> Iterator[tuple[RuleRef, str]]:
    if action is not Action.PASS:
        yield ref, _digest(("default", action))


def _rules(policy: Policy, direction: Direction) -> Iterator[tuple[RuleRef, str]]:
    seen: Counter[str] = Counter()
    for index, rule in enumerate(policy.rules(direction) or ()):
        if rule.action is Action.PASS:
            continue
        digest = _digest(dataclasses.replace(rule, name="", line=0))
        seen[digest] += 1
        # The same rule a second time decides nothing, but it stands in the kernel and must be told apart.
        own = digest if seen[digest] == 1 else _digest((digest, seen[digest]))
        yield RuleRef(tier=policy.tier, policy=policy.name, direction=direction, index=index), own


def _digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()

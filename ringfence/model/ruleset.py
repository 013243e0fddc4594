"""What the policy engine tells an enforcer: one small, numbered list of rules per workload and direction.

Backend-neutral: nothing here names iptables. Numbers are written into the connection mark by allowing rules and into
the log prefix by denying rules, so every flow record names the rule that decided.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from ringfence.model.policy import Service
from ringfence.model.verdict import QUARANTINE_TIER, UNENFORCED_TIER, Direction, Mode, RuleRef

UNENFORCED_RULE = 1
"""Rule number that marks a connection let through because the workload is not in `protect`."""
DEFAULT_ALLOW_RULE = 2
"""Rule number that marks a connection no policy has an opinion about."""
QUARANTINE_RULE = 3
"""Rule number of everything a quarantine drops."""
FIRST_POLICY_RULE = 16
"""Numbers below are reserved for the product's own rules, above for policy rules."""
LAST_POLICY_RULE = 65_535
"""What fits the sixteen bits of the connection mark that `enforce.mark_mask` has unless told otherwise."""


def last_rule_of(mask: int) -> int:
    """The last rule number that fits the bits of a mark `mask`."""
    return min(LAST_POLICY_RULE, mask // (mask & -mask))


def reserved_ref(number: int, direction: Direction) -> RuleRef | None:
    """The reference behind one of the product's own numbers, so that a flow can name it; None for any other number."""
    tiers = {UNENFORCED_RULE: UNENFORCED_TIER, DEFAULT_ALLOW_RULE: "", QUARANTINE_RULE: QUARANTINE_TIER}
    if number not in tiers:
        return None
    return RuleRef(tier=tiers[number], policy="", direction=direction, index=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressSet:
    """Members of one address family each; an empty set matches nothing, never everything."""

    name: str
    ipv4: tuple[IPv4Network, ...] = ()
    ipv6: tuple[IPv6Network, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesetRule:
    """First match decides. `peers` names an `AddressSet` of the ruleset (None: any address).

    `not_peers` names addresses that do not match although `peers` does. `service` is one protocol with its ports.
    `allow` False drops (or answers, when `reject`).
    """

    number: int
    ref: RuleRef
    allow: bool
    reject: bool = False
    peers: str | None = None
    not_peers: str | None = None
    service: Service = field(default_factory=Service)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruleset:
    """Everything one workload's namespace needs. The rule lists end in a rule that matches everything.

    `problem`: why there are no rules in it, as a sentence; what held before goes on holding. Empty when there are.
    """

    workload: str
    mode: Mode
    ingress: tuple[RulesetRule, ...]
    egress: tuple[RulesetRule, ...]
    sets: tuple[AddressSet, ...] = ()
    problem: str = ""

    def rules(self, direction: Direction) -> tuple[RulesetRule, ...]:
        return self.ingress if direction is Direction.INGRESS else self.egress

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the content without the workload: equal digests mean equal kernel rules."""
        content = (self.mode, self.ingress, self.egress, self.sets)
        text = repr((*content, self.problem) if self.problem else content)
        return hashlib.sha256(text.encode()).hexdigest()


_LOG_PREFIX = re.compile(r"rf:([ie]):([0-9]+)(?:@([1-9][0-9]{0,2}))?")
LOG_GROUP = 21062
"""NFLOG group of every denying rule ("RF" in ASCII)."""
WORKLOAD_SLOT_MASK = 0xFF000000
"""Bits of the connection mark in the host's own namespace that name a host-network workload (slot 1..255)."""
PROBE_MARK = 0x52465042
"""Packet mark of the enforcer's own probes ("RFPB"): what they are denied is proof, no attempt of the workload."""


class Logged(NamedTuple):
    """What the NFLOG prefix of a denying rule says; `slot` 0: the namespace is the workload's own."""

    number: int
    direction: Direction
    slot: int = 0


def log_prefix(number: int, direction: Direction, slot: int = 0) -> str:
    """The NFLOG prefix of a denying rule: `rf:i:<number>` or `rf:e:<number>`, for a host-network workload `@<slot>`.

    The connection mark cannot tell whose packet was denied: the connection is never confirmed, or not marked yet.
    """
    return f"rf:{direction.value[0]}:{number}" + (f"@{slot}" if slot else "")


def parse_log_prefix(prefix: str) -> Logged | None:
    """The inverse of `log_prefix`; None for a prefix that is not ours."""
    match = _LOG_PREFIX.fullmatch(prefix)
    if match is None:
        return None
    direction = Direction.INGRESS if match[1] == "i" else Direction.EGRESS
    return Logged(number=int(match[2]), direction=direction, slot=int(match[3] or 0))


def mark_of(number: int, mask: int) -> int:
    """The rule number shifted into the bits of `mask`.

    Raises:
        ValueError: the number does not fit.
    """
    shift = (mask & -mask).bit_length() - 1
    if number << shift & ~mask:
        raise ValueError(f"rule number {number} does not fit the mark mask {mask:#010x}")
    return number << shift


def number_of(mark: int, mask: int) -> int:
    """The rule number in a connection mark; 0: no rule of ours has marked it."""
    return (mark & mask) >> ((mask & -mask).bit_length() - 1)

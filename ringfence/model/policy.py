"""Policy as written by people: ordered tiers of policies that select workloads by label and list rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from ringfence.model.verdict import Direction, Mode

Network = IPv4Network | IPv6Network


class Action(StrEnum):
    """`PASS` goes on to the next tier, `REJECT` answers where `DENY` is silent."""

    ALLOW = "allow"
    DENY = "deny"
    REJECT = "reject"
    PASS = "pass"  # noqa: S105 -- a policy action, no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A label expression in Calico's syntax: `role == 'db' && env in {'prod'}`; parsed by `policy_engine.selector`."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end. All given criteria must hold; a peer with none given is anything, inside or outside.

    `networks` are CIDRs (already resolved from named sets), `not_networks` their exceptions.
    """

    selector: Selector | None = None
    networks: tuple[Network, ...] = ()
    not_networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PortInterval:
    """Inclusive on both ends, 0..65535."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is asked for: an IP protocol number (None: any), destination ports or ICMP type/code (empty: any)."""

    protocol: int | None = None
    ports: tuple[PortInterval, ...] = ()
    icmp_type: int | None = None
    icmp_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Matches when any peer and any service match. Empty `peers` or `services` mean all."""

    action: Action
    peers: tuple[Peer, ...] = ()
    services: tuple[Service, ...] = ()
    name: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Isolates the workloads it selects in each direction it has a rule list for, even an empty one.

    `ingress`/`egress` None: this policy says nothing about that direction. An empty tuple: nothing is let through
    by this policy, so the tier's default decides.
    """

    name: str
    tier: str
    selector: Selector
    ingress: tuple[Rule, ...] | None = None
    egress: tuple[Rule, ...] | None = None
    owner: str = ""
    description: str = ""
    line: int = 0

    def rules(self, direction: Direction) -> tuple[Rule, ...] | None:
        return self.ingress if direction is Direction.INGRESS else self.egress


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """`default` decides for a workload that some policy of the tier selects when none of its rules match."""

    name: str
    policies: tuple[Policy, ...] = ()
    default: Action = Action.DENY
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A mode for the workloads that the selector matches; the first matching group counts."""

    name: str
    selector: Selector
    mode: Mode
    line: int = 0


class ResponseAction(StrEnum):
    QUARANTINE = "quarantine"
    NOTIFY = "notify"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRule:
    """Denied connections to a forbidden label, `count` times in `within`: then act, within the cap.

    `source` limits who may be acted upon, `destination` names what must not be reached. A workload that `protected`
    selects is never acted upon. `dry_run` records what would have been done and does nothing. `max_per_label` caps how
    many workloads with the same value of a label (`role`, say) are acted upon in an hour: not all of one role.
    """

    name: str
    source: Selector | None = None
    destination: Selector | None = None
    count: int
    within: timedelta
    action: ResponseAction = ResponseAction.QUARANTINE
    expires: timedelta
    max_per_hour: int
    max_per_label: tuple[tuple[str, int], ...] = ()
    protected: Selector | None = None
    dry_run: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """Everything in force, or everything in a draft. The empty set denies nothing and is in `discover`."""

    tiers: tuple[Tier, ...] = ()
    groups: tuple[Group, ...] = ()
    responses: tuple[ResponseRule, ...] = ()
    default_mode: Mode = Mode.DISCOVER


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing wrong with what a person wrote; all of them are reported at once."""

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.path}: {self.message}"

"""What the segmentation report holds the controls against: counted once, then judged control by control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from audit.report.completeness import Completeness
from audit.report.posture import Posture
from audit.report.tally import end_name, service
from policy_engine.atoms import ends, service_atoms
from policy_engine.matching import rule_matches
from ringfence.model.enforcement import EnforcementState
from ringfence.model.policy import Action, PolicySet, Rule
from ringfence.model.quarantine import Quarantine
from ringfence.model.verdict import Direction, Mode
from ringfence.model.workload import Containment, NetworkKind, WorkloadKind
from ringfence.store.state import PolicyRevision

INSECURE_PORTS = {
    20: "FTP",
    21: "FTP",
    23: "Telnet",
    69: "TFTP",
    110: "POP3",
    143: "IMAP",
    161: "SNMP",
    389: "LDAP",
    512: "rexec",
    513: "rlogin",
    514: "rsh",
    2375: "Docker API without TLS",
    5900: "VNC",
}
"""Well-known services that send passwords or commands in the clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`edges` are summary rows of the window between and around workloads in scope, grouped by ends, service and
    verdict; `drifts` counts repairs recorded in the window."""

    policies: PolicySet
    revision: PolicyRevision
    history: tuple[PolicyRevision, ...]
    scope: tuple[Posture, ...]
    edges: tuple[dict[str, Any], ...]
    quarantines: tuple[Quarantine, ...]
    drifts: int
    completeness: Completeness
    end: datetime

    @property
    def scope_ids(self) -> frozenset[str]:
        return frozenset(item.workload.id for item in self.scope)

    @property
    def violations(self) -> tuple[dict[str, Any], ...]:
        """Allowed in fact although the policy of that time denies it."""
        return tuple(row for row in self.edges if row["enforced"] == "allowed" and row["staged"] == "denied")

    @property
    def denied(self) -> tuple[dict[str, Any], ...]:
        return tuple(row for row in self.edges if row["enforced"] == "denied")

    @property
    def unjustified(self) -> tuple[dict[str, Any], ...]:
        """Went through without a rule that says so."""
        return tuple(
            row
            for row in self.edges
            if row["enforced"] == "allowed" and row["staged"] != "denied" and row["enforced_basis"] != "explicit"
        )

    @property
    def insecure(self) -> tuple[dict[str, Any], ...]:
        return tuple(row for row in self.edges if row["enforced"] == "allowed" and row["dst_port"] in INSECURE_PORTS)

    def open_in(self, direction: Direction) -> tuple[Posture, ...]:
        """Workloads in scope that no policy isolates in this direction, or whose policies let everything through."""
        return tuple(item for item in self.scope if not self._isolated(item, direction))

    def _isolated(self, item: Posture, direction: Direction) -> bool:
        names = set(item.ingress if direction is Direction.INGRESS else item.egress)
        selecting = [(tier, policy) for tier in self.policies.tiers for policy in tier.policies if policy.name in names]
        allowing = tuple(
            rule for _, policy in selecting for rule in policy.rules(direction) or () if rule.action is Action.ALLOW
        )
        return not opens_everything(allowing) and any(
            tier.default in (Action.DENY, Action.REJECT) for tier, _ in selecting
        )

    @property
    def not_in_protect(self) -> tuple[Posture, ...]:
        return tuple(item for item in self.scope if item.mode is not Mode.PROTECT)

    @property
    def not_proven(self) -> tuple[Posture, ...]:
        return tuple(item for item in self.scope if item.mode is Mode.PROTECT and not item.proven)

    @property
    def containers(self) -> tuple[Posture, ...]:
        return tuple(item for item in self.scope if item.workload.kind is WorkloadKind.CONTAINER)

    def holding_net_admin(self) -> tuple[Posture, ...]:
        """Containers whose containment is weaker because of what they may do to their own namespace."""
        return tuple(item for item in self.containers if item.workload.containment is Containment.HOST_SIDE)

    def attached_to(self, kind: NetworkKind, network: str = "") -> tuple[Posture, ...]:
        return tuple(
            item
            for item in self.containers
            if any(part.kind is kind and (not network or part.network == network) for part in item.workload.attachments)
        )

    @property
    def enforcement_failed(self) -> tuple[Posture, ...]:
        bad = (EnforcementState.PARTIAL, EnforcementState.FAILED, EnforcementState.NOT_CONTAINABLE)
        return tuple(item for item in self.scope if item.enforcement is not None and item.enforcement.state in bad)


@lru_cache(maxsize=256)
def opens_everything(rules: tuple[Rule, ...]) -> bool:
    """Whether rules together match every address of a family with every service, however they are written."""
    atoms = service_atoms(rules)
    addresses = ends(rules, ())
    return any(
        all(
            any(rule_matches(rule, end.endpoint, atom.request) for rule in rules)
            for end in addresses
            if end.family == family
            for atom in atoms
            if atom.exists_in(family)
        )
        for family in (4, 6)
    )


def names(items: Sequence[Posture], most: int = 5) -> str:
    """`web, api and 3 more`."""
    listed = ", ".join(item.workload.name for item in items[:most])
    return f"{listed} and {len(items) - most} more" if len(items) > most else listed


def counted(number: int, one: str, many: str = "") -> str:
    """`1 connection`, `2 connections`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def connections(rows: Sequence[Mapping[str, Any]]) -> int:
    """How many connections the rows stand for."""
    return sum(row["flows"] for row in rows)


def example(rows: Sequence[Mapping[str, Any]]) -> str:
    """The most frequent of the rows in words: `web to db tcp/5432`."""
    row = max(rows, key=lambda item: item["flows"])
    return f"{end_name(row, 'src')} to {end_name(row, 'dst')} {service(row)}"

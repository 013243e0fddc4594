"""The state of the estate in figures: what is wrong, how much of it is seen, and whether that is the whole picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ringfence.model.enforcement import Enforcement, EnforcementState
from ringfence.model.finding import Finding, FindingKind, FindingState, Severity
from ringfence.model.gap import Gap
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.model.verdict import Mode
from ringfence.model.workload import Workload, WorkloadKind
from ringfence.store.state import HostStatus, State
from web.policy_view import mode_counts, read_policy
from web.window import Window
from web.words import in_duration, plural

STALE = timedelta(seconds=30)
"""A host that was not heard of for longer is called stale."""
UNSOUND = frozenset({EnforcementState.FAILED, EnforcementState.PARTIAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """Counts for the overview; `violating` are names of workloads with open policy violations, without repetition.

    `others` counts the open findings per severity (worst first) that `violating` does not stand for, from low upwards.
    """

    violating: tuple[str, ...]
    others: Mapping[Severity, int]
    quarantined: tuple[Quarantine, ...]
    findings: Mapping[str, int]
    workloads: int
    modes: Mapping[Mode, int]
    unsound: int
    hosts: tuple[HostStatus, ...]
    """Those in service."""
    stale: tuple[HostStatus, ...]

    @property
    def urgent(self) -> bool:
        """Whether a finding that is told apart is high or critical."""
        return Severity.HIGH in self.others or Severity.CRITICAL in self.others


def inside(state: State) -> tuple[Workload, ...]:
    """The workloads that run on our hosts, without the named networks outside."""
    return tuple(item for item in state.workloads.current() if item.kind is not WorkloadKind.EXTERNAL)


def proofs_of(state: State) -> tuple[Enforcement, ...]:
    """What enforcers last said of the workloads that run; the word on one that ended is history."""
    running = {item.id for item in state.workloads.current()}
    return tuple(item for item in state.enforcements.list() if item.workload in running)


def estate_of(state: State, now: datetime) -> Estate:
    policies = read_policy(state.policies.current().text)
    workloads = inside(state)
    open_findings = state.findings.list(state=FindingState.OPEN, limit=1000)
    counts = state.findings.counts()
    hosts = tuple(host for host in state.hosts.list() if host.retired is None)
    return Estate(
        violating=tuple(sorted({_who(item) for item in open_findings if _names_violator(item)})),
        others=_others(open_findings, counts),
        quarantined=state.quarantines.active(),
        findings={severity.value: counts.get(severity.value, 0) for severity in reversed(Severity)},
        workloads=len(workloads),
        modes=mode_counts(policies, workloads) if policies else {},
        unsound=sum(item.state in UNSOUND for item in proofs_of(state)),
        hosts=hosts,
        stale=tuple(host for host in hosts if now - host.at > STALE),
    )


def _who(finding: Finding) -> str:
    return finding.workload_name or finding.workload or ""


def _names_violator(finding: Finding) -> bool:
    return finding.kind is FindingKind.POLICY_VIOLATION and bool(_who(finding))


def _others(findings: Sequence[Finding], counts: Mapping[str, int]) -> dict[Severity, int]:
    """Open findings without those that are told as violating workloads."""
    told = Counter(item.severity for item in findings if _names_violator(item))
    rest = {severity: counts.get(severity.value, 0) - told[severity] for severity in reversed(Severity)}
    return {severity: count for severity, count in rest.items() if count > 0 and severity is not Severity.INFO}


def is_calm(estate: Estate, gaps: Sequence[Gap], unrecorded: Sequence[str]) -> bool:
    """Whether nothing needs a person, and nothing that would can have gone unseen."""
    trouble = (estate.violating, estate.others, estate.quarantined, gaps, unrecorded, estate.stale, estate.unsound)
    return bool(estate.hosts) and not any(trouble)


def status_sentence(estate: Estate, gaps: Sequence[Gap] | None, unrecorded: Sequence[str], window: Window) -> str:
    """The line at the top of the overview: `3 workloads violate policy, 1 quarantined, 2 gaps in the last hour`.

    `gaps` are those of `window`, None where they are not known; `unrecorded` says why else not all of it was recorded;
    nothing is said of any other time.
    """
    parts = []
    if estate.violating:
        count = len(estate.violating)
        parts.append(f"{plural(count, 'workload')} {'violates' if count == 1 else 'violate'} policy")
    parts += [plural(count, f"{severity.value} finding") for severity, count in estate.others.items()]
    if estate.quarantined:
        parts.append(f"{len(estate.quarantined)} quarantined")
        held = sum(item.state is QuarantineState.VERIFIED for item in estate.quarantined)
        if held < len(estate.quarantined):
            parts.append(f"{len(estate.quarantined) - held} not verified")
    if estate.unsound:
        parts.append(f"policy is not fully in force on {plural(estate.unsound, 'workload')}")
    if gaps is None:
        parts.append("the flow store does not answer")
    elif gaps:
        parts.append(f"{plural(len(gaps), 'gap')} {window.words}")
    if estate.stale:
        parts.append(f"{plural(len(estate.stale), 'host')} not heard of lately")
    if not parts and not estate.hosts:
        return "No host reports yet"
    if not parts:
        seen = f"{plural(estate.workloads, 'workload')} on {plural(len(estate.hosts), 'host')}"
        parts.append(f"Nothing {'recorded ' if unrecorded else ''}needs action: {seen}, no gaps {window.words}")
    return "; ".join([", ".join(parts), *unrecorded])


def staleness(host: HostStatus, now: datetime) -> str:
    """`last heard 43 s ago`, empty while it is fresh."""
    silent = now - host.at
    return f"last heard {in_duration(silent)} ago" if silent > STALE else ""

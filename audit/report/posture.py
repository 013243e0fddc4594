"""Where each workload of the window stands: its mode, the policies that select it, the last proof of enforcement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from audit.report.sources import Sources
from policy_engine.matching import selects
from policy_engine.modes import mode_in
from policy_engine.parse import parse_policy
from ringfence.errors import PolicyInvalid
from ringfence.model.enforcement import Enforcement, EnforcementState
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Direction, Mode
from ringfence.model.workload import Workload, WorkloadKind
from ringfence.store.state import PolicyRevision

PROOF_AGE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """`ingress` and `egress` name the policies that select it in that direction.

    `mode` None: no rules are written for it. `proven`: an enforcer saw all its rules in the kernel, not longer than
    `PROOF_AGE` before the report was made, or before the workload ended.
    """

    workload: Workload
    mode: Mode | None
    ingress: tuple[str, ...]
    egress: tuple[str, ...]
    enforcement: Enforcement | None
    proven: bool = False

    @property
    def mode_words(self) -> str:
        """`protect`; `no mode` for hosts."""
        return self.mode.value if self.mode else "no mode"

    @property
    def protected(self) -> bool:
        """Whether what policy denies it is proven to be denied in the kernel."""
        return self.mode is Mode.PROTECT and self.proven


def in_force_policy(sources: Sources) -> tuple[PolicySet, PolicyRevision]:
    """The policy at the end of the window. A text this version cannot parse gives the empty policy."""
    history = sources.state.policies
    end = sources.parameters.end
    current = history.current()
    if current.revision and current.applied >= end:
        earlier = (item for item in history.list(limit=10_000) if item.applied < end or item.revision == 0)
        current = next(earlier, current)
    try:
        return parse_policy(current.text), current
    except PolicyInvalid:
        return PolicySet(), current


def revisions_in_window(sources: Sources) -> tuple[PolicyRevision, ...]:
    """Revisions applied in the window, oldest first."""
    start, end = sources.parameters.start, sources.parameters.end
    listed = sources.state.policies.list(limit=10_000)
    return tuple(reversed([item for item in listed if item.revision and start <= item.applied < end]))


def examine_posture(sources: Sources, policies: PolicySet) -> tuple[Posture, ...]:
    """One for each workload seen in the window (its latest run), by name; external networks are left out."""
    latest: dict[str, Workload] = {}
    for workload in sources.state.workloads.seen(sources.parameters.start, sources.parameters.end):
        former = latest.get(workload.id)
        if former is None or former.started <= workload.started:
            latest[workload.id] = workload
    enforcements = {item.workload: item for item in sources.state.enforcements.list()}
    return tuple(
        Posture(
            workload=workload,
            mode=mode_in(policies, workload),
            ingress=selecting(policies, workload, Direction.INGRESS),
            egress=selecting(policies, workload, Direction.EGRESS),
            enforcement=enforcements.get(workload.id),
            proven=_proves(enforcements.get(workload.id), workload.ended or sources.clock()),
        )
        for workload in sorted(latest.values(), key=lambda item: (item.name, item.id))
        if workload.kind is not WorkloadKind.EXTERNAL
    )


def external_networks(sources: Sources) -> tuple[Workload, ...]:
    """The named networks outside of the window, each as if it were still named: what was open to one was open."""
    seen = sources.state.workloads.seen(sources.parameters.start, sources.parameters.end)
    return tuple(
        replace(item, ended=None, attachments=tuple(replace(part, until=None) for part in item.attachments))
        for item in seen
        if item.kind is WorkloadKind.EXTERNAL
    )


def _proves(found: Enforcement | None, at: datetime) -> bool:
    return (
        found is not None
        and found.state is EnforcementState.IN_FORCE
        and found.verified is not None
        and found.verified >= at - PROOF_AGE
    )


def selecting(policies: PolicySet, workload: Workload, direction: Direction) -> tuple[str, ...]:
    """The names of the policies that judge this workload in one direction, in order."""
    return tuple(
        policy.name
        for tier in policies.tiers
        for policy in tier.policies
        if policy.rules(direction) is not None and selects(policy.selector, workload.labels)
    )

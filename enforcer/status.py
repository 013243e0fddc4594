"""What the enforcer says of each workload, and whether that is news."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from enforcer.owners import Occupied
from ringfence.model.enforcement import Enforcement, EnforcementState
from ringfence.model.quarantine import Check
from ringfence.model.ruleset import Ruleset
from ringfence.model.workload import SHARES_HOST, Containment, Workload, WorkloadKind

REFRESH = timedelta(seconds=30)
"""An unchanged status is told again this often, so that `verified` does not look old."""
HOST_NETWORK = "host network: connections from outside are judged by their first data"
UNPLACED = "its cgroup was not found, or no slot is free: no rule stands for it"
UNKNOWN_BESIDE = "it is not known yet what holds for others in the host's namespace; it is isolated as soon as it is"
UNDOABLE = "it holds CAP_NET_ADMIN in its namespace and could undo the rules there; pause or stop it instead"


class Statuses:
    """The latest `Enforcement` by workload id."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._known: dict[str, Enforcement] = {}
        self._told: dict[str, Enforcement] = {}

    def all(self) -> tuple[Enforcement, ...]:
        return tuple(self._known.values())

    def keep_only(self, workloads: Sequence[str]) -> None:
        """Forget workloads that are not there any more."""
        for gone in self._known.keys() - set(workloads):
            self._known.pop(gone)
            self._told.pop(gone, None)

    def note(
        self,
        workload: str,
        state: EnforcementState,
        *,
        at: datetime,
        digest: str = "",
        reason: str = "",
        checks: tuple[Check, ...] = (),
        drifted: bool = False,
        host: str = "",
    ) -> Enforcement | None:
        """Take what was seen at `at`; returns the new status when it should be told, None when it is no news."""
        old = self._known.get(workload)
        same = old is not None and (old.state, old.digest) == (state, digest)
        drifts, last = (old.drifts, old.last_drift) if old is not None and same else (0, None)
        failed = state is EnforcementState.FAILED
        new = Enforcement(
            workload=workload,
            host=host or self._host,
            state=state,
            digest=digest,
            since=old.since if old is not None and same else at,
            verified=(old.verified if old is not None else None) if failed else at,
            reason=reason,
            checks=checks,
            drifts=drifts + drifted,
            last_drift=at if drifted else last,
        )
        self._known[workload] = new
        told = self._told.get(workload)
        if told is not None and _gist(told) == _gist(new) and not _older(told, at):
            return None
        self._told[workload] = new
        return new


def _gist(status: Enforcement) -> Enforcement:
    """What makes a status news: all but the time it was last seen and the figures in its checks."""
    return replace(status, verified=None, checks=())


def _older(told: Enforcement, at: datetime) -> bool:
    return at - (told.verified or told.since) >= REFRESH


def state_of(
    member: Workload, occupied: Occupied, state: EnforcementState, reason: str, ruleset: Ruleset | None
) -> tuple[EnforcementState, str]:
    """The namespace's state as it applies to one member and its ruleset, with the reason that a person reads."""
    if member.containment is Containment.NOT_CONTAINABLE:
        state, reason = EnforcementState.NOT_CONTAINABLE, member.containment_reason
    elif member.kind is WorkloadKind.HOST:
        state, reason = EnforcementState.OFF, "rules are written for workloads, not for the host itself"
    elif state is EnforcementState.FAILED:
        pass
    elif member.containment is Containment.HOST_SIDE:
        state, reason = EnforcementState.NOT_CONTAINABLE, UNDOABLE
    elif occupied.host and member.containment is not Containment.CGROUP:
        state = EnforcementState.NOT_CONTAINABLE
        reason = "it stands in the host's namespace and its cgroup is not known"
    elif occupied.host:
        reason = reason or HOST_NETWORK
    elif member is not occupied.owner:
        reason = reason or f"shares the namespace of {occupied.owner.name}, whose rules hold for both"
    if ruleset is None and state is EnforcementState.IN_FORCE:
        state, reason = EnforcementState.OFF, "no ruleset was compiled for it"
    elif ruleset is not None and ruleset.problem and state is not EnforcementState.NOT_CONTAINABLE:
        state, reason = EnforcementState.FAILED, ruleset.problem
    return state, reason


def containment_checks(workload: Workload) -> tuple[Check, ...]:
    """A failed check for what could undo its own rules, or go another way than by its network."""
    undone = {Containment.HOST_SIDE: UNDOABLE, Containment.NOT_CONTAINABLE: workload.containment_reason}
    if workload.containment in undone:
        return (Check(name="cannot be undone from inside", passed=False, detail=undone[workload.containment]),)
    if workload.containment_reason in ("", SHARES_HOST):
        return ()
    return (Check(name="no way round it", passed=False, detail=workload.containment_reason),)

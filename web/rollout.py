"""How far the policy has come in the kernels: on how many workloads it is in force, and why not on the others.

As the hosts said last. A host that is silent, or that does not say, is named and not counted.

Who waits for it waits until `waiting` is 0, or a note says that a host refuses it, and then reads `others` and `notes`.
It may never be settled: not over a workload that is not containable, nor a host that is silent or does not enforce.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from policy_engine.compile import is_judged, namespace_owners
from ringfence.model.enforcement import EnforcementState, Rollout
from ringfence.store.state import HostStatus, State
from web.estate import UNSOUND, staleness
from web.words import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Workloads (id to name) that are in one state, other than in force, for one reason."""

    state: str
    reason: str
    workloads: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRollout:
    """`workloads` have rules; `in_force` of them hold those of `revision`, proven by reading them back; `others` counts
    the rest by their state, and `waiting` has not been reported on yet. `notes` say what is not in the figures."""

    revision: int
    workloads: int
    in_force: int
    waiting: int
    others: Mapping[str, int]
    troubles: tuple[Trouble, ...]
    notes: tuple[str, ...]

    @property
    def settled(self) -> bool:
        """Whether it is in force everywhere, as far as anybody can say."""
        return bool(self.workloads) and self.in_force == self.workloads and not self.notes

    @property
    def failing(self) -> bool:
        return any(self.others.get(state.value) for state in UNSOUND)

    @property
    def sentence(self) -> str:
        """`Revision 7: in force on 11 of 12 workloads, 1 failed`."""
        start = f"Revision {self.revision}"
        if not self.workloads:
            return f"{start}: {'no host says that it is in force' if self.notes else 'no workload has rules yet'}"
        parts = [f"in force on {self.in_force:,} of {plural(self.workloads, 'workload')}"]
        parts += [f"{count:,} {state}" for state, count in self.others.items()]
        parts += [f"{self.waiting:,} waiting"] if self.waiting else []
        return f"{start}: {', '.join(parts)}"


def rollout_of(state: State, now: datetime) -> PolicyRollout:
    """That of the newest revision."""
    revision = state.policies.current().revision
    hosts = [host for host in state.hosts.list() if host.retired is None]
    counted = [
        rollout
        for host in hosts
        if not staleness(host, now) and (rollout := Rollout.of_facts(host.facts.get("rollout")))
    ]
    states: Counter[EnforcementState] = Counter()
    for rollout in counted:
        # What holds an older revision waits for this one, whatever state that is in.
        states.update(rollout.states if rollout.revision >= revision else {})
    workloads = sum(rollout.workloads for rollout in counted)
    others = {
        kind.value: states[kind] for kind in EnforcementState if states[kind] and kind is not EnforcementState.IN_FORCE
    }
    return PolicyRollout(
        revision=revision,
        workloads=workloads,
        in_force=states[EnforcementState.IN_FORCE],
        waiting=max(0, workloads - sum(states.values())),
        others=others,
        troubles=_troubles(state, others),
        notes=tuple(_notes(hosts, revision, now)),
    )


def _troubles(state: State, others: Mapping[str, int]) -> tuple[Trouble, ...]:
    """Of the states that the hosts count, so that no reason stands there for what is over."""
    proofs = {item.workload: item for item in state.enforcements.list() if item.state.value in others}
    found: dict[tuple[str, str], dict[str, str]] = {}
    for workload in namespace_owners(state.workloads.current()) if proofs else ():
        proof = proofs.get(workload.id)
        if proof is not None and is_judged(workload):
            found.setdefault((proof.state.value, proof.reason), {})[workload.id] = workload.name
    return tuple(Trouble(state=kind, reason=reason, workloads=names) for (kind, reason), names in found.items())


def _notes(hosts: Sequence[HostStatus], revision: int, now: datetime) -> Iterator[str]:
    if not hosts:
        yield "no host reports yet"
    for host in hosts:
        rollout = Rollout.of_facts(host.facts.get("rollout"))
        if silent := staleness(host, now):
            yield f"host {host.host} was {silent}: its workloads are not counted"
        elif rollout is None:
            yield f"host {host.host} does not say what is in force on it: its workloads are not counted"
        elif rollout.revision < revision:
            refused = f"policy revision {revision} is refused"
            why = next((str(one) for one in host.facts.get("limits") or () if str(one).startswith(refused)), "")
            yield f"host {host.host} has revision {rollout.revision}{f': {why}' if why else ' so far'}"

"""From policy and inventory to rules: compiles on every change, and accounts for what the enforcer reports."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from policy_engine.compile import compile_rulesets
from policy_engine.numbering import numbered
from policy_engine.places import Held
from ringfence import metrics
from ringfence.clock import Clock
from ringfence.errors import StoreUnavailable
from ringfence.model.enforcement import Drift, Enforcement, EnforcementState, Rollout
from ringfence.model.event import AuditEvent, EventAction
from ringfence.model.finding import Finding, FindingKind, Severity
from ringfence.model.ruleset import Ruleset
from ringfence.model.verdict import RuleRef
from ringfence.model.workload import Workload
from ringfence.service.policy import InForce, PolicyInForce
from ringfence.store.state import State

UNSETTLED = frozenset({EnforcementState.FAILED, EnforcementState.PARTIAL})


PATIENCE = timedelta(seconds=20)
"""How long the first rules wait for an engine that does not answer."""


class RulesetSink(Protocol):
    """The enforcer's half: takes what should hold and makes it so."""

    def desire(self, workloads: Sequence[Workload], rulesets: Mapping[str, Ruleset]) -> None: ...

    def notice(self, workloads: Sequence[Workload]) -> None:
        """What runs, before anything is desired: quarantines hold for it all the same."""


class Enforcing:
    """Keeps the enforcer's desired state equal to policy x inventory."""

    def __init__(
        self,
        *,
        policy: PolicyInForce,
        state: State,
        sink: RulesetSink,
        workloads: Callable[[], Sequence[Workload]],
        held: Callable[[], Sequence[Held]] = tuple,
        machines: Callable[[], Mapping[str, str]] = dict,
        account: Callable[[AuditEvent], None],
        clock: Clock,
        settled: Callable[[], bool] = lambda: True,
    ) -> None:
        """`held`: what belongs to workloads beside the addresses of their attachments. `machines`: the host that each
        engine runs on.

        `settled`: whether the inventory is complete. Until it first is, or `PATIENCE` is over, the kernel keeps what it
        has: rules made of a part of the workloads would let through, or deny, what those of the former run did not.
        """
        self._policy = policy
        self._state = state
        self._sink = sink
        self._workloads = workloads
        self._held, self._machines = held, machines
        self._account = account
        self._clock = clock
        self._inventory_changed = threading.Event()
        self._settled: Callable[[], bool] | None = settled
        self._begun: datetime | None = None
        self._compiled: int | None = None
        self._wanted: dict[str, str] = {}
        self._numbers: tuple[int, Mapping[RuleRef, int]] | None = None
        self._names: dict[int, RuleRef | None] = {}
        self._seen: dict[str, tuple[str, EnforcementState]] = {}
        self._lock = threading.Lock()
        """Held to change `_seen`; whoever reads it takes it as it is."""

    @property
    def in_force(self) -> int | None:
        """The revision that every workload with rules has; None while rules are being written, or were refused."""
        seen = self._seen
        settled = all(
            workload in seen and seen[workload][0] == digest and seen[workload][1] not in UNSETTLED
            for workload, digest in self._wanted.items()
        )
        return self._compiled if settled else None

    @property
    def rollout(self) -> Rollout | None:
        """How far the newest compiled revision has come; None before the first, and while rules are being compiled.

        A switched-off enforcer reports no rules at all: such a workload counts as off, whatever was compiled for it.
        """
        compiled, seen = self._compiled, self._seen
        if compiled is None:
            return None
        reports = [(seen[workload], digest) for workload, digest in self._wanted.items() if workload in seen]
        states = Counter(state for (held, state), digest in reports if held == digest or state is EnforcementState.OFF)
        return Rollout(revision=compiled, workloads=len(self._wanted), states=states)

    def step(self) -> None:
        """Compile if policy or inventory changed, and hand the result to the enforcer.

        When that fails the rules in the kernel stay as they are: the last good policy keeps holding. So they do while
        no revision of the policy can be read; quarantines are kept meanwhile.
        """
        with contextlib.suppress(StoreUnavailable):
            self._policy.refresh()
        if not self._policy.known or not self._may_begin():
            self._sink.notice(self._workloads())
            return
        current = self._policy.current
        if current.revision == self._compiled and not self._inventory_changed.is_set():
            return
        self._inventory_changed.clear()
        self._compiled = None
        workloads = self._workloads()
        self._forget_all_but({item.id for item in workloads})
        number = self._numbers_of(current).__getitem__
        rulesets = compile_rulesets(current.policies, workloads, number, self._held(), self._machines())
        self._wanted = {workload: ruleset.digest for workload, ruleset in rulesets.items()}
        self._sink.desire(workloads, rulesets)
        self._compiled = current.revision

    def _forget_all_but(self, workloads: Collection[str]) -> None:
        with self._lock:
            self._seen = {workload: news for workload, news in self._seen.items() if workload in workloads}

    def _may_begin(self) -> bool:
        self._begun = self._begun or self._clock()
        if self._settled is not None and (self._settled() or self._clock() - self._begun > PATIENCE):
            self._settled = None
        return self._settled is None

    def _numbers_of(self, current: InForce) -> Mapping[RuleRef, int]:
        """The numbers of a revision's rules; once asked for they are known while the state store is away."""
        if self._numbers is None or self._numbers[0] != current.revision:
            numbers = self._state.rule_numbers.assign(numbered(current.policies), at=self._clock())
            self._numbers = (current.revision, numbers)
            # Connections outlive their rule, so the names of before stay; what nobody knew may be known by now.
            # Of a copy: the collector looks names up meanwhile.
            known = {number: ref for number, ref in self._names.copy().items() if ref is not None}
            self._names = {**known, **{number: ref for ref, number in numbers.items()}}
        return self._numbers[1]

    def rule_name(self, number: int) -> RuleRef | None:
        """The rule with this number, where it stands in the policy in force.

        None when nobody knows it, or while the state store is away and nobody asked before: flows do not wait for it.
        """
        names = self._names
        if number not in names:
            try:
                names[number] = self._state.rule_numbers.lookup(number)
            except StoreUnavailable:
                return None
        return names[number]

    def inventory_changed(self) -> None:
        """Compile at the next step although the policy is the same."""
        self._inventory_changed.set()

    def note_enforcement(self, enforcement: Enforcement) -> None:
        """Keep what the enforcer says of a workload; account for it when it is news."""
        self._state.enforcements.save(enforcement)
        news = (enforcement.digest, enforcement.state)
        with self._lock:
            if self._seen.get(enforcement.workload) == news:
                return
            self._seen[enforcement.workload] = news
        failed = enforcement.state in (EnforcementState.FAILED, EnforcementState.PARTIAL)
        metrics.RULESETS_APPLIED.labels(result="failed" if failed else "applied").inc()
        self._account(
            AuditEvent(
                at=self._clock(),
                actor="enforcer",
                action=EventAction.RULESET_FAILED if failed else EventAction.RULESET_APPLIED,
                target=self._name(enforcement.workload),
                outcome="failure" if failed else "success",
                detail={
                    "digest": enforcement.digest,
                    "state": enforcement.state.value,
                    "reason": enforcement.reason,
                    "revision": self._policy.current.revision,
                },
            )
        )

    def note_drift(self, drift: Drift) -> None:
        """A drift is a finding and an audit event; the finding first: while it cannot be kept, this is called again."""
        name = self._name(drift.workload)
        sentence = f"rules of {name} were changed behind our back and put back after {drift.open_seconds:.1f} s"
        key = f"drift:{drift.workload}"
        self._state.findings.record(
            Finding(
                id=f"{key}:{drift.found.timestamp():.6f}",
                key=key,
                kind=FindingKind.DRIFT,
                severity=Severity.HIGH,
                sentence=f"{sentence}: {drift.what}",
                workload=drift.workload,
                workload_name=name,
                technique="T1562.004",
                first_seen=drift.found,
                last_seen=drift.repaired,
            )
        )
        metrics.DRIFT_REPAIRED.inc()
        self._account(
            AuditEvent(
                at=drift.repaired,
                actor="enforcer",
                action=EventAction.DRIFT_REPAIRED,
                target=name,
                detail={"what": drift.what, "open_seconds": round(drift.open_seconds, 3)},
            )
        )

    def _name(self, workload_id: str) -> str:
        return next((item.name for item in self._workloads() if item.id == workload_id), workload_id)

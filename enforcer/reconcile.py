"""Desired against actual: keeps every namespace as ordered, carries out quarantines, and reports what was seen."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from enforcer.desired import Desired
from enforcer.isolation import isolate, refused
from enforcer.kernel import Kernel, Watching
from enforcer.loop import Background
from enforcer.netns import NamespaceGone, find
from enforcer.owners import Occupied
from enforcer.place import Place, Settled
from enforcer.plan import Plan
from enforcer.proof import enforcement_checks, isolates, seal_check
from enforcer.scope import cgroup_folder
from enforcer.slots import cgroup_path, slot_names
from enforcer.status import UNKNOWN_BESIDE, UNPLACED, Statuses, containment_checks, state_of
from enforcer.unjudged import cut_unjudged
from ringfence.clock import Clock
from ringfence.config import Enforce
from ringfence.errors import EnforcementFailed
from ringfence.log import logger
from ringfence.model.enforcement import Drift, Enforcement, EnforcementState
from ringfence.model.quarantine import Check, Quarantine, QuarantineState
from ringfence.model.ruleset import Ruleset
from ringfence.model.workload import Containment, Workload, WorkloadKind

OWN_NAMESPACE = Path("/proc/self/ns/net")
SWITCHED_OFF = "enforcement is switched off (enforce.enabled)"
AWAY = "it does not run, or its network namespace is not known"
STANDING = frozenset({EnforcementState.IN_FORCE, EnforcementState.PARTIAL})
FIGHT = "somebody keeps changing the rules: they are put back every few seconds"
Report = Callable[[Enforcement | Drift | Quarantine], None]
Grounds = tuple[int, datetime, Containment, str, str]
"""What a proof rests on beside the rules: the namespace, the run, its containment with the reason, and what is open."""


class Enforcer:
    """Takes what should hold (`desire`, `order`, `release`), makes it so in the background and tells what it saw.

    Rules stay in the kernel when it stops or dies; a new one without memory takes them over as they are.
    """

    def __init__(
        self,
        settings: Enforce,
        *,
        host: str,
        clock: Clock,
        kernel: Kernel,
        report: Report,
        monotonic: Callable[[], float] = time.monotonic,
        own_inode: int | None = None,
        cgroups: Callable[[str], str] = cgroup_folder,
    ) -> None:
        """`report` is called from the thread that saw it; it must neither call back nor raise.

        Before `desire` nothing is written but quarantines.
        """
        own = OWN_NAMESPACE.stat().st_ino if own_inode is None else own_inode
        self._settings, self._clock, self._kernel, self._monotonic = settings, clock, kernel, monotonic
        self._report, self._cgroups = report, cgroups
        self._desired = Desired(mask=settings.mark_mask, own_inode=own, cgroups=cgroups)
        self._statuses = Statuses(host)
        self._lock = threading.RLock()
        self._places: dict[int, Place] = {}
        self._proven: dict[str, Grounds] = {}
        self._receiving: set[tuple[str, datetime]] = set()
        self._log = logger("enforcer")
        self._background = Background(self._step, watch=kernel.watch, seconds=settings.drift_seconds)

    def start(self) -> None:
        """Begin to keep the desired state."""
        if self._settings.enabled:
            self._background.start()

    def stop(self) -> None:
        """Stop keeping it; the rules stay."""
        self._background.stop()

    def desire(self, workloads: Sequence[Workload], rulesets: Mapping[str, Ruleset]) -> None:
        """What should hold from now on: every running workload, and rulesets by workload id. Returns at once."""
        self._desired.replace(workloads, rulesets)
        with self._lock:
            self._statuses.keep_only([item.id for item in workloads])
            self._receiving = self._receiving & {(item.id, item.started) for item in workloads}
        if not self._settings.enabled:
            self._all_off(workloads)
        self._background.wake()

    def notice(self, workloads: Sequence[Workload]) -> None:
        """What runs, while it is not known what should hold: only quarantines are kept, also for who starts meanwhile.

        Those of host-network workloads wait for `desire`, and so does every release. Returns at once.
        """
        self._desired.notice(workloads)
        self._background.wake()

    def restore(self, quarantines: Sequence[Quarantine]) -> None:
        """Quarantines that were in force before this process: they hold again as soon as their workloads are known."""
        for quarantine in quarantines:
            if quarantine.active and quarantine.released is None:
                self._desired.isolate(quarantine)
        self._background.wake()

    def order(self, workload: Workload, quarantine: Quarantine) -> Quarantine:
        """Isolate now: rules, then everything connected, then the proof. Returns when it is known how it went.

        The order is kept also when it fails: it is tried again, and holds for the workload's next namespace.
        """
        if refusal := self._refusal(workload):
            if refusal == AWAY:
                self._desired.isolate(quarantine)
            return refused(quarantine, "containment", refusal, self._clock)
        if workload.containment is Containment.CGROUP and not self._desired.known:
            self._desired.isolate(quarantine)
            return refused(quarantine, "containment", UNKNOWN_BESIDE, self._clock)
        self._desired.add(workload)
        found = self._desired.namespaces()[workload.netns or 0]
        try:
            done = self._isolate_now(workload, quarantine, found)
        except EnforcementFailed as error:
            done = refused(quarantine, "rules read back", str(error), self._clock)
        self._background.wake()
        return done

    def release(self, quarantine: Quarantine, workload: Workload | None = None) -> Quarantine:
        """End the isolation: what held before holds again, byte for byte. A workload that is away comes back free.

        `workload`: as it runs now, None when it does not. While nobody said what should hold instead, it stays.

        Raises:
            EnforcementFailed: the rules are not known or could not be written; it is tried again in the background.
        """
        place = self._desired.place_of(quarantine.workload)
        awaited = workload is not None and workload.running and workload.netns is not None
        if (not self._desired.known and (place is not None or awaited)) or (place is None and awaited):
            raise EnforcementFailed("it is not known yet what should hold instead")
        self._desired.free(quarantine)
        with self._lock:
            self._proven.pop(quarantine.workload, None)
        try:
            if place is not None and self._settings.enabled:
                self._settle(place)
            elif place is not None and isolates(self._kernel.read(place.netns)):
                raise EnforcementFailed(f"its rules still stand, and {SWITCHED_OFF}")
        except NamespaceGone:
            self._log.info("released after its end", workload=quarantine.workload)
        return replace(quarantine, state=QuarantineState.RELEASED, released=quarantine.released or self._clock())

    def statuses(self) -> tuple[Enforcement, ...]:
        """The latest status of every workload."""
        with self._lock:
            return self._statuses.all()

    def slots(self) -> Mapping[int, str]:
        """Slot in the connection mark -> workload id, for host-network workloads."""
        return self._desired.slots()

    def reconcile(self) -> None:
        """One pass over every namespace, now, in the calling thread."""
        self._pass(self._desired.namespaces(), dict.fromkeys(self._desired.namespaces(), 0.0))

    def _step(self, watching: Watching, seconds: float) -> None:
        """Wait for changes and put right what is not; called again and again by the background thread."""
        found = self._desired.namespaces()
        with self._lock:
            known = [place.netns for inode, place in self._places.items() if inode in found]
            now = self._monotonic()
            waits = [place.pace.wait(now) for place in self._places.values()]
        soon = min([wait for wait in waits if wait > 0], default=seconds)
        changed = dict(watching.wait(known, min(seconds, soon)))
        self._pass(self._desired.namespaces(), changed)

    def _pass(self, found: Mapping[int, Occupied], changed: Mapping[int, float]) -> None:
        """Work through the namespaces that changed, that are new or whose plan is another; and those left behind."""
        if not self._settings.enabled:
            return
        self._assign_slots(found)
        now = self._monotonic()
        for inode, occupied in found.items():
            if inode in changed:
                self._place(occupied).suspect(now - changed[inode])
            self._look_after(occupied)
        with self._lock:
            left = [place for inode, place in self._places.items() if inode not in found]
        for place in left:
            self._leave(place)

    def _look_after(self, occupied: Occupied) -> None:
        place = self._place(occupied)
        try:
            plan, now = self._desired.plan(occupied), self._monotonic()
            if place.due(plan, now) and (plan != place.wanted or not place.pace.wait(now)):
                self._settle(occupied)
        except NamespaceGone:
            with self._lock:
                self._places.pop(occupied.netns.inode, None)
        except Exception as error:  # noqa: BLE001 -- whatever one namespace meets, the others get their rules
            place.pace.failed(self._monotonic())
            self._log.warning("a namespace failed", workload=occupied.owner.name, error=_words(error))
            self._tell_all(occupied, EnforcementState.FAILED, _words(error), ())

    def _settle(self, occupied: Occupied) -> Settled:
        """Make one namespace hold its plan, report drift and status, and prove its quarantines."""
        place = self._place(occupied)
        with place.lock:
            settled = place.settle(self._desired.plan(occupied))
            left = cut_unjudged(self._kernel, self._desired, occupied, place)
            self._let_receive(occupied)
            now, seconds = self._clock(), self._monotonic()
            suspected = max(place.seen(seconds), settled.seconds)
            place.pace.succeeded()
            if settled.drift:
                place.pace.repaired(seconds)
            fighting = place.pace.fighting(seconds)
        if settled.drift:
            what = "; ".join(settled.drift[:8])
            self._log.warning("drift repaired", workload=occupied.owner.name, what=what)
            since = now - timedelta(seconds=suspected)
            self._report(Drift(workload=occupied.owner.id, found=since, repaired=now, what=what))
        state = EnforcementState.PARTIAL if fighting or left else EnforcementState.IN_FORCE
        reason = (
            FIGHT if fighting else left or settled.observed.mixed or (settled.sealed.problem if settled.sealed else "")
        )
        if place.held is not None and place.held.problem:
            state, reason = EnforcementState.FAILED, place.held.problem
        self._tell_all(occupied, state, reason, enforcement_checks(settled.observed), drifted=bool(settled.drift))
        self._prove(occupied, settled)
        return settled

    def _let_receive(self, occupied: Occupied) -> None:
        """Host-network workloads that nothing isolates receive (again), also those released while we were away."""
        for member in occupied.slotted:
            run = member.id, member.started
            if run not in self._receiving and self._desired.quarantine(member.id) is None:
                if folder := self._cgroups(cgroup_path(member)):
                    self._kernel.receive(folder, allowed=True)
                self._receiving.add(run)

    def _prove(self, occupied: Occupied, settled: Settled) -> None:
        """A quarantine whose rules were put back, or whose proof does not rest on what is so now, is proven (again).

        The namespace stays locked until it is told: an order or a release has the last word, whichever comes later.
        """
        with self._place(occupied).lock:
            for member in occupied.members:
                order = self._desired.quarantine(member.id)
                if order is None or self._cgroup_is_gone(occupied, member):
                    continue
                if self._refusal(member) and order.state is not QuarantineState.VERIFIED:
                    continue
                if self._proven.get(member.id) == _grounds(member, settled) and not settled.drift:
                    continue
                done = self._isolate(member, order, occupied, settled)
                if self._desired.quarantine(member.id) is done:
                    self._report(done)

    def _isolate_now(self, workload: Workload, quarantine: Quarantine, occupied: Occupied) -> Quarantine:
        place = self._place(occupied)
        with place.lock:
            self._desired.isolate(quarantine)
            self._assign_slots({occupied.netns.inode: occupied})
            with self._lock:
                self._proven.pop(workload.id, None)
            return self._isolate(workload, quarantine, occupied, place.settle(self._desired.plan(occupied)))

    def _isolate(self, workload: Workload, order: Quarantine, occupied: Occupied, settled: Settled) -> Quarantine:
        if self._cgroup_is_gone(occupied, workload):
            raise EnforcementFailed(UNPLACED)
        with self._lock:
            self._receiving.discard((workload.id, workload.started))
        done = isolate(
            order,
            settled.observed,
            kernel=self._kernel,
            netns=occupied.netns,
            scope=self._desired.scope_of(workload) if occupied.host else None,
            clock=self._clock,
            extra=(*containment_checks(workload), *([seal_check(settled.sealed)] if settled.sealed else [])),
        )
        self._desired.settled(done)
        with self._lock:
            self._proven[workload.id] = _grounds(workload, settled)
        return done

    def _cgroup_is_gone(self, occupied: Occupied, workload: Workload) -> bool:
        """Nothing in a host's own namespace is that workload's: any more, or for want of a slot."""
        return occupied.host and self._desired.scope_of(workload) is None

    def _refusal(self, workload: Workload) -> str:
        """Why a quarantine cannot even be tried; empty when it can."""
        if not self._settings.enabled:
            return SWITCHED_OFF
        if workload.kind in (WorkloadKind.HOST, WorkloadKind.EXTERNAL):
            return f"a workload of kind {workload.kind.value} has no namespace of its own"
        if workload.containment is Containment.NOT_CONTAINABLE:
            return workload.containment_reason or "it cannot be contained"
        if not workload.running or workload.netns is None or not workload.netns_path:
            return AWAY
        return ""

    def _assign_slots(self, found: Mapping[int, Occupied]) -> None:
        """Slots must be known before a plan is made; a namespace seen for the first time tells those of before."""
        hosts = [item for item in found.values() if item.slotted]
        names: set[str] = set()
        for item in hosts:
            if self._place(item).held is None:
                with contextlib.suppress(EnforcementFailed):
                    names |= slot_names(self._kernel.read(item.netns))
        self._desired.assign(names)

    def _place(self, occupied: Occupied) -> Place:
        with self._lock:
            place = self._places.setdefault(occupied.netns.inode, Place(occupied.netns, self._kernel))
            place.netns = occupied.netns
            return place

    def _leave(self, place: Place) -> None:
        """Nobody stands there any more. A host's own namespace lives on: what stood there for cgroups goes away."""
        try:
            if place.held is not None and place.netns.shared:
                place.netns = find(place.netns)
                place.settle(Plan())
        except (EnforcementFailed, OSError) as error:
            self._log.info("left a namespace as it was", netns=place.netns.inode, why=str(error))
        with self._lock:
            self._places.pop(place.netns.inode, None)

    def _all_off(self, workloads: Sequence[Workload]) -> None:
        for item in workloads:
            self._tell(item, EnforcementState.OFF, SWITCHED_OFF)

    def _tell_all(
        self,
        occupied: Occupied,
        state: EnforcementState,
        reason: str,
        checks: tuple[Check, ...],
        *,
        drifted: bool = False,
    ) -> None:
        """Note the status of everyone in the namespace, and report what is news."""
        shared = self._desired.ruleset(occupied)
        for member in occupied.members:
            ruleset = self._desired.ruleset_of(member.id) if occupied.host else shared
            mine, why = state_of(member, occupied, state, reason, ruleset)
            if occupied.host and mine in STANDING and self._desired.slot_of(member) is None:
                mine, why = EnforcementState.FAILED, UNPLACED
            digest = ruleset.digest if ruleset is not None else ""
            self._tell(member, mine, why, digest=digest, checks=checks, drifted=drifted)

    def _tell(
        self,
        workload: Workload,
        state: EnforcementState,
        reason: str,
        *,
        digest: str = "",
        checks: tuple[Check, ...] = (),
        drifted: bool = False,
    ) -> None:
        with self._lock:
            news = self._statuses.note(
                workload.id,
                state,
                at=self._clock(),
                host=workload.host,
                digest=digest,
                reason=reason,
                checks=checks,
                drifted=drifted,
            )
        if news is not None:
            self._report(news)


def _grounds(workload: Workload, settled: Settled) -> Grounds:
    opened = settled.sealed.problem if settled.sealed is not None else ""
    return workload.netns or 0, workload.started, workload.containment, workload.containment_reason, opened


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, EnforcementFailed) else f"{type(error).__name__}: {error}"

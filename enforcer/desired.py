"""What should hold: workloads, rulesets, quarantine orders and slots, and the plan of each namespace they give."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from enforcer.owners import Occupied, occupied, quarantine_of
from enforcer.plan import Plan, namespace_plan
from enforcer.scope import Scope
from enforcer.slots import Slot, assign_slots, cgroup_path, host_plan
from ringfence.errors import EnforcementFailed
from ringfence.model.quarantine import Quarantine
from ringfence.model.ruleset import Ruleset
from ringfence.model.workload import Workload


class Desired:
    """Methods may be called from any thread."""

    def __init__(self, *, mask: int, own_inode: int, cgroups: Callable[[str], str]) -> None:
        """`own_inode` is the enforcer's own namespace, which never gets the rules of a single workload.

        `cgroups` tells the folder of a cgroup path, empty when it is gone.
        """
        self._mask, self._own, self._cgroups = mask, own_inode, cgroups
        self._lock = threading.RLock()
        self._workloads: dict[str, Workload] = {}
        self._rulesets: Mapping[str, Ruleset] = {}
        self._quarantines: dict[str, Quarantine] = {}
        self._slots: dict[int, str] = {}
        self.known = False
        """Whether anybody has said yet what should hold; until then only orders are known."""
        self._last: dict[str, Ruleset] = {}
        """The rulesets that a plan could express, by workload: a quarantine falls back on them."""

    def replace(self, workloads: Sequence[Workload], rulesets: Mapping[str, Ruleset]) -> None:
        """Everything that runs, and the ruleset of each by workload id."""
        with self._lock:
            self.known = True
            self._workloads = {item.id: item for item in workloads if item.running}
            self._rulesets = dict(rulesets)
            self._last = {key: item for key, item in self._last.items() if key in self._workloads}

    def notice(self, workloads: Sequence[Workload]) -> None:
        """What runs, while nobody has said what should hold: whoever stands where an order isolates is to be kept.

        Not in a host's own namespace: a plan of it would remove what holds there for others.
        """
        with self._lock:
            if self.known:
                return
            places = occupied(workloads).values()
            isolated = {item.id for place in places if self.isolation(place) is not None for item in place.members}
            kept = isolated | self._workloads.keys()
            self._workloads = {item.id: item for item in workloads if item.running and item.id in kept}

    def add(self, workload: Workload) -> None:
        """A workload that an order named."""
        with self._lock:
            self._workloads[workload.id] = workload

    def isolate(self, quarantine: Quarantine) -> None:
        with self._lock:
            self._quarantines[quarantine.workload] = quarantine

    def settled(self, quarantine: Quarantine) -> None:
        """How an order went, if it still stands."""
        with self._lock:
            standing = self._quarantines.get(quarantine.workload)
            if standing is not None and standing.id == quarantine.id:
                self._quarantines[quarantine.workload] = quarantine

    def free(self, quarantine: Quarantine) -> None:
        """This order no longer stands; another one for the same workload does."""
        with self._lock:
            standing = self._quarantines.get(quarantine.workload)
            if standing is not None and standing.id == quarantine.id:
                del self._quarantines[quarantine.workload]

    def quarantine(self, workload: str) -> Quarantine | None:
        with self._lock:
            return self._quarantines.get(workload)

    def namespaces(self) -> dict[int, Occupied]:
        with self._lock:
            return occupied(list(self._workloads.values()))

    def place_of(self, workload: str) -> Occupied | None:
        """The namespace it stands in now."""
        places = self.namespaces().values()
        return next((place for place in places if any(item.id == workload for item in place.members)), None)

    def ruleset(self, place: Occupied) -> Ruleset | None:
        """The ruleset of the namespace: its owner's, or that of the first member that has one."""
        with self._lock:
            return next((self._rulesets[item.id] for item in place.members if item.id in self._rulesets), None)

    def ruleset_of(self, workload: str) -> Ruleset | None:
        with self._lock:
            return self._rulesets.get(workload)

    def isolation(self, place: Occupied) -> Quarantine | None:
        """The order that isolates a namespace of its own, if any."""
        with self._lock:
            return None if place.host else quarantine_of(place.members, self._quarantines)

    def slots(self) -> dict[int, str]:
        """Slot in the connection mark -> workload id."""
        with self._lock:
            return dict(self._slots)

    def assign(self, observed_chains: Iterable[str]) -> None:
        """Give host-network workloads their slots; the names of chains in the kernel tell those of before."""
        with self._lock:
            wanted = [item.id for place in self.namespaces().values() if place.host for item in place.slotted]
            self._slots = assign_slots(sorted(wanted), self._slots, observed_chains)

    def plan(self, place: Occupied) -> Plan:
        """What the namespace should hold.

        Raises:
            EnforcementFailed: a rule cannot be expressed, or it is a namespace that must not be touched.
        """
        with self._lock:
            if place.host:
                slots = [slot for item in place.slotted if (slot := self.slot_of(item))]
                return self._remember(host_plan(slots, self._mask), {slot.workload.id: slot.ruleset for slot in slots})
            if place.netns.inode == self._own:
                raise EnforcementFailed("the workload stands in this host's own namespace, which is not its own")
            owner, ruleset = place.owner.id, self.ruleset(place)
            plan = namespace_plan(ruleset, self.isolation(place), self._mask, last=self._last.get(owner))
            return self._remember(plan, {owner: ruleset})

    def _remember(self, plan: Plan, rulesets: Mapping[str, Ruleset | None]) -> Plan:
        if not plan.problem:
            self._last |= {key: item for key, item in rulesets.items() if item is not None}
        return plan

    def slot_of(self, workload: Workload) -> Slot | None:
        """None while the workload has no slot, or when its cgroup is gone: one dead cgroup must not stop the rest.

        Nor must one ruleset that could not be had: its workload keeps the one before, or has none.
        """
        with self._lock:
            number = next((slot for slot, owner in self._slots.items() if owner == workload.id), 0)
            ruleset, quarantine = self._rulesets.get(workload.id), self._quarantines.get(workload.id)
            last = self._last.get(workload.id)
        if ruleset is not None and ruleset.problem:
            ruleset = last
        if not number or (ruleset is None and quarantine is None):
            return None
        if not self._cgroups(cgroup_path(workload)):
            return None
        return Slot(number=number, workload=workload, ruleset=ruleset, quarantine=quarantine, last=last)

    def scope_of(self, workload: Workload) -> Scope | None:
        """The part of a host's own namespace that is this workload's; None: it has no slot, or its cgroup is gone."""
        slot = self.slot_of(workload)
        folder = self._cgroups(cgroup_path(workload)) if slot is not None else ""
        return Scope(slot=slot.number, folder=folder) if slot is not None and folder else None

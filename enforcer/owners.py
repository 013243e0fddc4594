"""Which workloads stand in which namespace, and whose rules hold there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from enforcer.netns import Netns
from ringfence.model.quarantine import Quarantine
from ringfence.model.workload import Containment, Workload, WorkloadKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupied:
    """One namespace: `members` stand in it, the owner first.

    `host` is true for an engine's own namespace, where host-network workloads are told apart by their cgroup.
    """

    netns: Netns
    members: tuple[Workload, ...]

    @property
    def owner(self) -> Workload:
        return self.members[0]

    @property
    def host(self) -> bool:
        return self.netns.shared

    @property
    def slotted(self) -> tuple[Workload, ...]:
        """The host-network workloads."""
        return tuple(item for item in self.members if item.containment is Containment.CGROUP)


def occupied(workloads: Sequence[Workload]) -> dict[int, Occupied]:
    """Namespaces by inode. The owner is whoever did not join somebody else's namespace, then the oldest."""
    found: dict[int, list[Workload]] = {}
    for item in workloads:
        if item.running and item.netns is not None and item.netns_path and item.kind is not WorkloadKind.EXTERNAL:
            found.setdefault(item.netns, []).append(item)
    return {
        inode: Occupied(
            netns=Netns(inode=inode, path=_path(members), shared=_shared(members)), members=_owner_first(members)
        )
        for inode, members in found.items()
    }


def _shared(members: Sequence[Workload]) -> bool:
    return any(item.containment is Containment.CGROUP or item.kind is WorkloadKind.HOST for item in members)


def _owner_first(members: Sequence[Workload]) -> tuple[Workload, ...]:
    return tuple(sorted(members, key=lambda item: (item.joined, item.started, item.id)))


def _path(members: Sequence[Workload]) -> str:
    return _owner_first(members)[0].netns_path or ""


def quarantine_of(members: Sequence[Workload], quarantines: Mapping[str, Quarantine]) -> Quarantine | None:
    """What isolates a shared namespace: any member's order isolates all, with the access that every order grants."""
    orders = sorted(
        (quarantines[item.id] for item in members if item.id in quarantines), key=lambda order: order.created
    )
    if len(orders) < 2:
        return orders[0] if orders else None
    shared = tuple(access for access in orders[0].access if all(access in order.access for order in orders))
    return replace(orders[0], access=shared)

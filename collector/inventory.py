"""Inventory: every workload of this kernel now and during the last hour, with what it held and when.

Sources (one per Docker engine, one per file) replace what they know; differences become validity intervals here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from types import MappingProxyType

from ringfence.clock import Clock, utc_now
from ringfence.model.policy import Network
from ringfence.model.workload import Address, Attachment, NetworkKind, Workload, WorkloadKind

KEEP_ENDED = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One consistent view. `owners` maps a namespace's inode to the workload whose namespace it is (those that only
    joined it are in `workloads`); `local` maps it to the addresses held there, each with the time it was first seen;
    `machines` an engine's name to the host in whose namespace it runs.
    """

    version: int = 0
    workloads: tuple[Workload, ...] = ()
    owners: Mapping[int, Workload] = field(default_factory=dict)
    local: Mapping[int, Mapping[Address, datetime]] = field(default_factory=dict)
    subnets: tuple[Network, ...] = ()
    external: tuple[tuple[Network, Workload], ...] = ()
    machines: Mapping[str, str] = field(default_factory=dict)

    @property
    def known(self) -> tuple[Workload, ...]:
        """Every run, and the named networks outside: all that policy can tell apart."""
        outside = {item.id: item for _, item in self.external if item.kind is WorkloadKind.EXTERNAL}
        return (*self.workloads, *outside.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All that one source knows at one time; `external` are named networks outside, longest prefix wins.

    `engine`: name of the engine that was listed and inode of the namespace it runs in, which tells the host it is on.
    """

    workloads: tuple[Workload, ...] = ()
    subnets: tuple[Network, ...] = ()
    external: tuple[tuple[Network, Workload], ...] = ()
    engine: tuple[str, int] | None = None


class Inventory:
    """Thread-safe. `on_change` callbacks run in the thread that made the change, after it is visible."""

    def __init__(self, *, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._running: dict[str, dict[str, Workload]] = {}
        self._ended: list[Workload] = []
        self._listings: dict[str, Listing] = {}
        self._local: dict[int, dict[Address, datetime]] = {}
        self._listeners: list[Callable[[], None]] = []
        self._version = 0
        self._snapshot = Snapshot()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener()` after every change."""
        self._listeners.append(listener)

    def replace(self, source: str, listing: Listing, at: datetime | None = None) -> bool:
        """Take the complete state of one source as of `at` (default: now); True when something changed."""
        at = at or self._clock()
        with self._lock:
            known = self._running.get(source, {})
            running = {item.id: _continue(known.get(item.id), item, at) for item in listing.workloads if item.running}
            ended = _endings(known, running, listing.workloads, at)
            changed = bool(ended) or running != known or self._listings.get(source) != listing
            if not changed:
                return False
            self._running[source], self._listings[source] = running, listing
            self._ended = [item for item in self._ended if (item.ended or at) > at - KEEP_ENDED] + ended
            self._version += 1
        self._notify()
        return True

    @property
    def sources(self) -> frozenset[str]:
        """Those that have told what they know."""
        with self._lock:
            return frozenset(self._listings)

    def set_local(self, inode: int, addresses: Iterable[Address]) -> bool:
        """Note which addresses a namespace holds itself, as read inside it; True when that is news."""
        with self._lock:
            known, now = self._local.get(inode, {}), self._clock()
            found = {address: known.get(address, now) for address in addresses}
            if found == known:
                return False
            self._local[inode] = found
            self._version += 1
        self._notify()
        return True

    def forget_local(self, inode: int) -> None:
        """The namespace is gone."""
        with self._lock:
            if self._local.pop(inode, None) is not None:
                self._version += 1

    def workloads(self) -> tuple[Workload, ...]:
        """Those that run."""
        return tuple(item for item in self.snapshot().workloads if item.running)

    def held(self) -> tuple[tuple[Network, Workload], ...]:
        """Networks beside attachments: those of named external workloads, and what was read inside each namespace."""
        snapshot = self.snapshot()
        inside = [
            (ip_network(address), owner)
            for inode, addresses in snapshot.local.items()
            if (owner := snapshot.owners.get(inode)) is not None and owner.running
            for address in addresses
        ]
        return (*snapshot.external, *inside)

    def machines(self) -> Mapping[str, str]:
        """The host that each engine runs on, by the engine's name."""
        return self.snapshot().machines

    def get(self, workload: str) -> Workload | None:
        """The running workload with this id, else the one of this id that ended last."""
        found = [item for item in self.snapshot().workloads if item.id == workload]
        return max(found, key=lambda item: (item.running, item.started), default=None)

    def at_namespace(self, inode: int) -> tuple[Workload, ...]:
        """Running workloads in a namespace, its owner first."""
        owner = self.snapshot().owners.get(inode)
        inside = [item for item in self.workloads() if item.netns == inode]
        return tuple(sorted(inside, key=lambda item: (owner is None or item.id != owner.id, item.name)))

    def snapshot(self) -> Snapshot:
        """The current view; the same object until something changes."""
        with self._lock:
            if self._snapshot.version != self._version:
                self._snapshot = self._build()
            return self._snapshot

    def _build(self) -> Snapshot:
        running = [self._with_local(item) for known in self._running.values() for item in known.values()]
        workloads = (*running, *self._ended)
        listings = list(self._listings.values())
        external = sorted(
            (pair for listing in listings for pair in listing.external), key=lambda pair: -pair[0].prefixlen
        )
        engines = dict(listing.engine for listing in listings if listing.engine is not None)
        owned = owners(workloads)
        return Snapshot(
            version=self._version,
            workloads=workloads,
            owners=MappingProxyType(owned),
            local=MappingProxyType({inode: dict(found) for inode, found in self._local.items()}),
            subnets=tuple(subnet for listing in listings for subnet in listing.subnets),
            external=tuple(external),
            machines=MappingProxyType({name: owned[inode].host for name, inode in engines.items() if inode in owned}),
        )

    def _with_local(self, item: Workload) -> Workload:
        """A host holds what was read in its namespace."""
        if item.kind is not WorkloadKind.HOST or item.netns is None:
            return item
        held = sorted(self._local.get(item.netns, {}), key=lambda address: (address.version, address))
        part = Attachment(
            network="host",
            kind=NetworkKind.HOST,
            addresses=tuple(address for address in held if not address.is_link_local),
            since=item.started,
        )
        return replace(item, attachments=(part,)) if held else item

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()


def owners(workloads: Sequence[Workload]) -> dict[int, Workload]:
    """The workload whose namespace it is, per inode: a host, then a running one that did not join, then the latest."""

    def rank(item: Workload) -> tuple[bool, tuple[bool, bool, datetime]]:
        return item.running, precedence(item)

    found: dict[int, Workload] = {}
    for item in workloads:
        if item.netns is not None and (item.netns not in found or rank(item) > rank(found[item.netns])):
            found[item.netns] = item
    return found


def precedence(item: Workload) -> tuple[bool, bool, datetime]:
    """Of those in a namespace at one time the greatest is its owner: a host, who did not join, who came last."""
    return item.kind is WorkloadKind.HOST, not _joined(item), item.started


def _same_run(before: Workload, now: Workload) -> bool:
    return before.started == now.started and (before.netns is None or now.netns is None or before.netns == now.netns)


def _continue(before: Workload | None, now: Workload, at: datetime) -> Workload:
    """The workload with its attachments' intervals carried on: unchanged ones keep their start, lost ones end."""
    if before is None or not _same_run(before, now):
        return now
    kept: list[Attachment] = []
    for new in now.attachments:
        old = next((item for item in before.attachments if item.until is None and _same_place(item, new)), None)
        kept.append(replace(new, since=old.since) if old else replace(new, since=max(new.since, at)))
    for old in before.attachments:
        if old.until is not None:
            kept.append(old)
        elif not any(_same_place(old, new) for new in now.attachments):
            kept.append(replace(old, until=at))
    return replace(now, attachments=tuple(kept))


def _same_place(left: Attachment, right: Attachment) -> bool:
    return (left.network, left.kind, left.addresses) == (right.network, right.kind, right.addresses)


def _endings(
    known: Mapping[str, Workload], running: Mapping[str, Workload], listed: Sequence[Workload], at: datetime
) -> list[Workload]:
    """The runs that are over, with their end as the source tells it, else `at`."""
    told = {item.id: item.ended for item in listed if item.ended is not None}
    result = []
    for before in known.values():
        now = running.get(before.id)
        if now is None or not _same_run(before, now):
            end = told.get(before.id) or (min(at, now.started) if now else at)
            end = max(end, before.started)
            parts = tuple(item if item.until else replace(item, until=end) for item in before.attachments)
            result.append(replace(before, ended=end, attachments=parts, pid=None, netns_path=None))
    return result


def namespaces_of(workloads: Iterable[Workload]) -> dict[int, str]:
    """Path of every namespace that these run in, by its inode; a workload's own before that of one who joined it.

    A namespace whose owner has ended lives on while somebody who joined it runs.
    """
    found: dict[int, str] = {}
    for item in sorted(workloads, key=_joined):
        if item.netns is not None and item.netns_path is not None:
            found.setdefault(item.netns, item.netns_path)
    return found


def _joined(item: Workload) -> bool:
    return any(part.kind is NetworkKind.SHARED for part in item.attachments)

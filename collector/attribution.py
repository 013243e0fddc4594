"""Attribution: which workload an end of a flow is, and how that is known.

The namespace that reported names its workload (`netns`): whose it was when the connection began there. The other end is
whoever held the address when the flow started, on the same host (`interval`, or `nat` through the translated address).
Two candidates are `unknown`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from socket import AF_INET
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.inventory import Snapshot
from collector.tenancy import EARLY_NS, FOREVER, Tenancy, apart, nanoseconds, tenancy
from collector.wire import hash_words
from ringfence.model.workload import SPANNING, Address, Method, NetworkKind, Workload, WorkloadKind

MAX_ANSWERS = 100_000
"""Answers kept; a scan of more addresses than this only costs time."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end as the columns of a flow show it. `labels` are sorted `key=value`."""

    workload: str | None = None
    name: str | None = None
    kind: str | None = None
    labels: tuple[str, ...] | None = None
    method: Method = Method.UNKNOWN
    network: str | None = None


UNKNOWN = Endpoint()


_Run = tuple[str, datetime]
"""Id and start of a workload's run."""


@dataclass(frozen=True, slots=True)
class _Holding:
    workload: Workload
    network: str | None
    wide: bool  # reachable from other hosts under this address
    since: int
    until: int


class Attribution:
    """Answers for columns of addresses; each distinct question is worked out once per state of the inventory."""

    def __init__(self, snapshot: Callable[[], Snapshot], slots: Callable[[], Mapping[int, str]] = dict) -> None:
        """`slots`: workload id per slot number in the marks of the host's own namespace."""
        self._take, self._slots = snapshot, slots
        self._snapshot: Snapshot | None = None
        self.endpoints: list[Endpoint] = []
        """What `resolve` returns indexes of, until the next `refresh` that finds a change."""
        self._numbers: dict[Endpoint, int] = {}
        self._answers: dict[tuple[Any, ...], tuple[int, int, int]] = {}
        self._hosts: dict[str, int] = {}
        self._slotted: Mapping[int, str] = {}
        self._seats: set[tuple[int, _Run]] = set()
        """Every slot and the run that had it, for as long as the inventory knows the run."""
        self.refresh()

    def refresh(self) -> bool:
        """Take up the inventory's and the slots' present state; True when it changed."""
        snapshot, slotted = self._take(), self._slots()
        if snapshot is self._snapshot and slotted == self._slotted:
            return False
        self._snapshot, self._slotted = snapshot, slotted
        self._answers.clear()
        # Containers come and go: who went must not stay here.
        self.endpoints, self._numbers = [UNKNOWN], {UNKNOWN: 0}
        self._note_tenants(snapshot)
        self._holdings = _holdings(snapshot)
        pairs = {(inode, address) for inode, held in snapshot.local.items() for address in held}
        for item in snapshot.workloads:
            if item.netns is not None and snapshot.owners[item.netns].id == item.id:
                pairs |= {(item.netns, address) for part in item.attachments for address in part.addresses}
        self._local = np.sort(_pair_hashes(pairs))
        return True

    def _note_tenants(self, snapshot: Snapshot) -> None:
        runs = {(item.id, item.started): item for item in snapshot.workloads}
        latest = {run[0]: run for run in sorted(runs, key=lambda run: (runs[run].running, run[1]))}
        self._seats |= {(slot, latest[workload]) for slot, workload in self._slotted.items() if workload in latest}
        self._seats = {(slot, run) for slot, run in self._seats if run in runs}
        self._by_slot = _grouped((slot, runs[run]) for slot, run in self._seats)
        self._by_inode = _grouped((item.netns, item) for item in snapshot.workloads if item.netns is not None)
        self._tenancies: dict[tuple[int, int], Tenancy] = {}

    def local(self, inodes: NDArray[Any], family: NDArray[Any], words: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each namespace (n,) holds the address (n x 2 words) itself; loopback always is."""
        if len(self._local):
            hashes = hash_words(words, inodes, family)
            place = np.minimum(np.searchsorted(self._local, hashes), len(self._local) - 1)
            held: NDArray[np.bool_] = self._local[place] == hashes
        else:
            held = np.zeros(len(words), bool)
        return np.asarray(held | loopback(family, words))

    def known(self, inodes: NDArray[Any]) -> NDArray[np.bool_]:
        """Which namespaces (n,) belong to a workload or a host."""
        owners = self._current.owners
        return _per_unique(inodes, lambda inode: inode in owners, np.bool_)

    def hosts(self, inodes: NDArray[Any]) -> NDArray[np.int32]:
        """A number for the host each namespace (n,) is on; -1 for one nobody knows."""
        owners = self._current.owners

        def number(inode: int) -> int:
            owner = owners.get(inode)
            return -1 if owner is None else self._hosts.setdefault(self._machine(owner), len(self._hosts))

        numbers: NDArray[np.int32] = _per_unique(inodes, number, np.int32)
        return numbers

    def resolve(
        self,
        *,
        inodes: NDArray[Any],
        slots: NDArray[Any],
        hosts: NDArray[Any],
        nat: NDArray[Any],
        family: NDArray[Any],
        words: NDArray[Any],
        starts: NDArray[Any],
    ) -> NDArray[np.int32]:
        """Endpoint numbers (n,). `inodes` 0: that end's namespace did not report; `hosts` -1: the host is not known.

        `nat`: the address is a translated one; `words` (n x 2) addresses; `starts` in nanoseconds,
        of the connection in that end's namespace where it reported, else of the flow.
        """
        if not len(words):
            return np.zeros(0, np.int32)
        hashes = hash_words(words, inodes, slots, hosts.astype(np.int64), nat, family)
        _, first, back = np.unique(hashes, return_index=True, return_inverse=True)
        asked = [
            (int(inodes[i]), int(slots[i]), int(hosts[i]), bool(nat[i]), int(family[i]), words[i].tobytes())
            for i in first
        ]
        answers = np.array([self._answer(key, int(starts[i])) for key, i in zip(asked, first, strict=True)], np.int64)
        result: NDArray[np.int32] = answers[back, 0].astype(np.int32)
        outside = np.flatnonzero((starts < answers[back, 1]) | (starts >= answers[back, 2]))
        for row in outside:
            result[row] = self._answer(asked[back[row]], int(starts[row]))[0]
        return result

    def _machine(self, workload: Workload) -> str:
        return self._current.machines.get(workload.host, workload.host)

    @property
    def _current(self) -> Snapshot:
        assert self._snapshot is not None  # noqa: S101 - set by __init__
        return self._snapshot

    def _answer(self, key: tuple[Any, ...], start: int) -> tuple[int, int, int]:
        known = self._answers.get(key)
        if known is None or not known[1] <= start < known[2]:
            if len(self._answers) >= MAX_ANSWERS:
                self._answers.clear()
            known = self._answers[key] = self._find(key, start)
        return known

    def _find(self, key: tuple[Any, ...], start: int) -> tuple[int, int, int]:
        """Endpoint number and the time [from, until) in which the answer holds."""
        inode, slot, host, nat, family, raw = key
        address = _address(family, raw)
        tenant, since, until = self._tenant(inode, slot, start)
        if tenant is not None:
            held = [item for item in self._holdings.get(address, ()) if item.workload.id == tenant.id]
            return self._number(tenant, Method.NETNS, held[-1].network if held else None), since, until
        number, first, last = self._find_holder(address, host, nat, start)
        return number, max(since, first), min(until, last)

    def _tenant(self, inode: int, slot: int, start: int) -> tuple[Workload | None, int, int]:
        """Whose the namespace was then, in a host's whose the slot was; and the time in which that holds."""
        if inode not in self._by_inode:
            return None, 0, FOREVER
        tenant, since, until = self._tenancy_of(inode, 0).at(start)
        if slot not in self._by_slot or tenant is None or tenant.kind is not WorkloadKind.HOST:
            return tenant, since, until
        seated, first, last = self._tenancy_of(0, slot).at(start)
        return seated or tenant, max(since, first), min(until, last)

    def _tenancy_of(self, inode: int, slot: int) -> Tenancy:
        """That of an inode or, where it is 0, of a slot; worked out when it is asked for."""
        known = self._tenancies.get((inode, slot))
        if known is None:
            known = self._tenancies[inode, slot] = self._of_inode(inode) if inode else tenancy(self._by_slot[slot])
        return known

    def _of_inode(self, inode: int) -> Tenancy:
        owner, runs = self._current.owners[inode], self._by_inode[inode]
        if owner.kind is WorkloadKind.HOST:
            runs = [item for item in runs if item.kind is WorkloadKind.HOST]  # the others are told apart by slots
        # A number that one namespace only has had is its owner's, whatever the engine's clock says.
        return tenancy(runs, None if any(apart(owner, item) for item in runs) else owner)

    def _find_holder(self, address: Address, host: int, nat: bool, start: int) -> tuple[int, int, int]:
        every = self._holdings.get(address, [])
        found = [item for item in every if item.since <= start < item.until]
        if not found:
            found = [item for item in every if item.since - EARLY_NS <= start < item.until]
        near = [item for item in found if self._hosts.get(self._machine(item.workload), -2) == host]
        if not near and host >= 0:
            near = [item for item in found if item.wide]
        elif host < 0:
            near = found
        if len({item.workload.id for item in near}) == 1:
            item = near[-1]
            edges = sorted({edge for other in every for edge in (other.since, other.until)} | {0, FOREVER})
            since = max((edge for edge in edges if edge <= start), default=0)
            until = min((edge for edge in edges if edge > start), default=FOREVER)
            return self._number(item.workload, Method.NAT if nat else Method.INTERVAL, item.network), since, until
        if every:
            return 0, start, start + 1
        for network, workload in self._current.external:
            if address in network:
                return self._number(workload, Method.STATIC, None), 0, FOREVER
        return self._outside(address), 0, FOREVER

    def _outside(self, address: Address) -> int:
        special = address.is_multicast or address.is_loopback or address.is_link_local or address.is_unspecified
        if special or any(address in subnet for subnet in self._current.subnets):
            return 0
        return self._intern(Endpoint(kind=WorkloadKind.EXTERNAL.value))

    def _number(self, workload: Workload, method: Method, network: str | None) -> int:
        return self._intern(
            Endpoint(
                workload=workload.id,
                name=workload.name,
                kind=workload.kind.value,
                labels=tuple(sorted(f"{key}={value}" for key, value in workload.labels.items())),
                method=method,
                network=network,
            )
        )

    def _intern(self, endpoint: Endpoint) -> int:
        number = self._numbers.setdefault(endpoint, len(self.endpoints))
        if number == len(self.endpoints):
            self.endpoints.append(endpoint)
        return number


def loopback(family: NDArray[Any], words: NDArray[Any]) -> NDArray[np.bool_]:
    """Which addresses (n x 2 words) are 127/8 or ::1."""
    octets = np.ascontiguousarray(words).view(np.uint8).reshape(len(words), 16)
    four = (family == AF_INET) & (octets[:, 0] == 127)
    six = (family != AF_INET) & (octets[:, 15] == 1) & ~octets[:, :15].any(axis=1)
    result: NDArray[np.bool_] = four | six
    return result


def _address(family: int, raw: bytes) -> Address:
    return ip_address(raw[:4] if family == AF_INET else raw)


def _pair_hashes(pairs: set[tuple[int, Address]]) -> NDArray[np.uint64]:
    words = np.zeros((len(pairs), 16), np.uint8)
    inodes, family = np.zeros(len(pairs), np.uint64), np.zeros(len(pairs), np.uint64)
    for row, (inode, address) in enumerate(pairs):
        words[row, : len(address.packed)] = np.frombuffer(address.packed, np.uint8)
        inodes[row], family[row] = inode, 2 if address.version == 4 else 10
    return hash_words(words.view(np.uint64), inodes, family)


def _per_unique(column: NDArray[Any], answer: Callable[[int], Any], dtype: Any) -> NDArray[Any]:
    unique, back = np.unique(column, return_inverse=True)
    return np.array([answer(int(item)) for item in unique], dtype)[back]


def _grouped(pairs: Iterable[tuple[int, Workload]]) -> dict[int, list[Workload]]:
    found: dict[int, list[Workload]] = {}
    for number, item in pairs:
        found.setdefault(number, []).append(item)
    return found


def _holdings(snapshot: Snapshot) -> dict[Address, list[_Holding]]:
    found: dict[Address, list[_Holding]] = {}
    for workload in snapshot.workloads:
        if workload.netns is not None and snapshot.owners[workload.netns].kind is WorkloadKind.HOST != workload.kind:
            continue  # in the host's namespace an address is the host's
        for part in workload.attachments:
            if part.kind is NetworkKind.SHARED:
                continue
            wide = part.kind in SPANNING or workload.kind is WorkloadKind.HOST
            until = part.until or workload.ended
            for address in part.addresses:
                holding = _Holding(
                    workload, part.network, wide, nanoseconds(part.since), nanoseconds(until) if until else FOREVER
                )
                found.setdefault(address, []).append(holding)
    for inode, local in snapshot.local.items():
        owner = snapshot.owners.get(inode)
        if owner is None:
            continue
        for address, since in local.items():
            if not any(item.workload.id == owner.id and item.until == FOREVER for item in found.get(address, ())):
                wide = owner.kind is WorkloadKind.HOST
                # Seen late does not mean held late: it counts from the workload's start.
                start = min(nanoseconds(since), nanoseconds(owner.started))
                end = nanoseconds(owner.ended) if owner.ended else FOREVER
                found.setdefault(address, []).append(_Holding(owner, None, wide, start, end))
    return found

"""Whose address it is: the networks by which the rules on one host know each workload.

Flows are attributed the same way. Two engines may give one address to two containers, so an address is known on the
host that it is held on, and on another one only where its network reaches there and nobody there holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from policy_engine.addresses import disjoint, host_network, own_parts
from policy_engine.matching import selects
from ringfence.model.policy import Network, Selector
from ringfence.model.workload import SPANNING, NetworkKind, Workload, WorkloadKind

Held = tuple[Network, Workload]
"""A network that belongs to a workload, beside the addresses of its attachments."""
Networks = Mapping[str, tuple[Network, ...]]
"""By workload id."""


class Places:
    """What belongs to each workload; of a named network outside only what nobody else holds."""

    def __init__(self, known: Sequence[Workload], held: Sequence[Held], machines: Mapping[str, str]) -> None:
        """`machines`: the host that an engine runs on, where it is called otherwise than the engine."""
        self._machines = machines
        self._workloads = {item.id: item for item in with_host_addresses(known)}
        self._workloads |= {item.id: item for _, item in held if item.kind is WorkloadKind.EXTERNAL}
        networks = _networks(self._workloads, held, hosts_of(known))
        own = own_parts(network for mine in networks.values() for network in mine)
        self._all = {id_: _parts(mine, own) for id_, mine in networks.items()}
        self._wide = {id_: _parts(_wide(self._workloads[id_], mine), own) for id_, mine in networks.items()}
        self._near: dict[str, list[str]] = {}
        for id_, item in self._workloads.items():
            if item.kind is not WorkloadKind.EXTERNAL:
                self._near.setdefault(self.machine(item), []).append(id_)
        self._ids: dict[str, tuple[str, ...]] = {}
        self._views: dict[str, Networks] = {}
        self._selected: dict[tuple[str, str], tuple[Network, ...]] = {}

    def machine(self, workload: Workload) -> str:
        """The host it is on."""
        return self._machines.get(workload.host, workload.host)

    def selected(self, selector: Selector, machine: str) -> tuple[Network, ...]:
        """What the selected workloads hold now, as it is known on one host."""
        key = (selector.text, machine)
        if key not in self._selected:
            if selector.text not in self._ids:
                chosen = (id_ for id_, item in self._workloads.items() if selects(selector, item.labels))
                self._ids[selector.text] = tuple(chosen)
            if machine not in self._views:
                self._views[machine] = self._view(machine)
            view = self._views[machine]
            self._selected[key] = disjoint(network for id_ in self._ids[selector.text] for network in view[id_])
        return self._selected[key]

    def _view(self, machine: str) -> Networks:
        near = {id_: self._all[id_] for id_ in self._near.get(machine, ())}
        taken = {network for networks in near.values() for network in networks}
        far = {id_: tuple(item for item in networks if item not in taken) for id_, networks in self._wide.items()}
        return far | near


def _networks(
    workloads: Mapping[str, Workload], held: Sequence[Held], hosts: Mapping[str, Workload]
) -> dict[str, set[Network]]:
    """Addresses of attachments, and what is held beside: what a host holds, those in its network hold as well."""
    found = {id_: {host_network(address) for address in item.addresses} for id_, item in workloads.items()}
    guests: dict[str, list[str]] = {}
    for guest, host in hosts.items():
        guests.setdefault(host.id, []).append(guest)
    for network, item in held:
        for id_ in (item.id, *guests.get(item.id, ())):
            if id_ in found:
                found[id_].add(network)
    return found


def _wide(item: Workload, networks: set[Network]) -> set[Network]:
    """What of its networks other hosts reach it by."""
    kinds = {part.kind for part in item.attachments if part.until is None}
    if item.kind in (WorkloadKind.HOST, WorkloadKind.EXTERNAL) or NetworkKind.HOST in kinds:
        return networks
    parts = (part for part in item.attachments if part.until is None and part.kind in SPANNING)
    return {host_network(address) for part in parts for address in part.addresses}


def _parts(networks: Iterable[Network], own: Mapping[Network, tuple[Network, ...]]) -> tuple[Network, ...]:
    return tuple(part for network in networks for part in own[network])


def with_host_addresses(workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """The same workloads; those in a host's own network, to which engines give no address, hold the host's."""
    hosts = hosts_of(workloads)
    return tuple(_as_guest(item, hosts[item.id]) if item.id in hosts else item for item in workloads)


def hosts_of(workloads: Iterable[Workload]) -> dict[str, Workload]:
    """The host in whose network each workload is, by the workload's id.

    The inode of a namespace tells the host only on one kernel: among several that have it, the name decides.
    """
    hosts: dict[int, list[Workload]] = {}
    guests: list[tuple[Workload, int]] = []
    for item in workloads:
        if item.netns is None or not item.running:
            continue
        if item.kind is WorkloadKind.HOST:
            hosts.setdefault(item.netns, []).append(item)
        elif any(part.kind is NetworkKind.HOST and part.until is None for part in item.attachments):
            guests.append((item, item.netns))
    found: dict[str, Workload] = {}
    for item, netns in guests:
        candidates = hosts.get(netns, [])
        called = [host for host in candidates if host.host == item.host] or candidates
        if len(called) == 1:
            found[item.id] = called[0]
    return found


def _as_guest(item: Workload, host: Workload) -> Workload:
    parts = tuple(
        replace(part, addresses=host.addresses) if part.kind is NetworkKind.HOST and part.until is None else part
        for part in item.attachments
    )
    return replace(item, attachments=parts)

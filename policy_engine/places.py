"""Whose address it is, where the inventory alone does not say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ringfence.model.workload import NetworkKind, Workload, WorkloadKind


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

"""Workloads: containers, hosts, pods, VMs and named external networks, with what they were attached to and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

from ringfence.model.policy import Network

Address = IPv4Address | IPv6Address


class WorkloadKind(StrEnum):
    CONTAINER = "container"
    HOST = "host"
    POD = "pod"
    VM = "vm"
    EXTERNAL = "external"


class NetworkKind(StrEnum):
    """How a workload is attached; the names are Docker's network drivers and network modes."""

    BRIDGE = "bridge"
    OVERLAY = "overlay"
    MACVLAN = "macvlan"
    HOST = "host"
    NONE = "none"
    SHARED = "container"
    OTHER = "other"


SPANNING = frozenset({NetworkKind.OVERLAY, NetworkKind.MACVLAN})
"""Networks on which other hosts reach a workload under its own address."""


class Containment(StrEnum):
    """Where rules can be put so that the workload cannot undo them.

    `NAMESPACE`: inside its own network namespace. `HOST_SIDE`: it holds CAP_NET_ADMIN there, so the host must
    enforce as well. `CGROUP`: it shares the host's namespace. `NOT_CONTAINABLE`: neither is possible.
    """

    NAMESPACE = "namespace"
    HOST_SIDE = "host-side"
    CGROUP = "cgroup"
    NOT_CONTAINABLE = "not containable"


SHARES_HOST = "it shares the host's network"
"""The reason of every `CGROUP`; whatever else is in a reason of a workload that can be contained is a way round it."""


class Method(StrEnum):
    """How an endpoint of a flow was identified. Automation refuses to act on `UNKNOWN`."""

    NETNS = "netns"
    INTERVAL = "interval"
    NAT = "nat"
    STATIC = "static"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One connection of a workload to one network, valid in [since, until).

    `networks` are what a named external network spans beside single addresses.
    """

    network: str
    kind: NetworkKind
    addresses: tuple[Address, ...] = ()
    networks: tuple[Network, ...] = ()
    interface: str | None = None
    mac: str | None = None
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One workload during one run: a restarted container is the same `id` with a new `started` and `netns`.

    `netns` is the inode number of its network namespace, `netns_path` a path that opens it while it runs
    (`/proc/<pid>/ns/net`). Containers that share a namespace have the same `netns`.
    """

    id: str
    name: str
    kind: WorkloadKind
    host: str
    labels: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    project: str | None = None
    pid: int | None = None
    netns: int | None = None
    netns_path: str | None = None
    cgroup: str | None = None
    attachments: tuple[Attachment, ...] = ()
    containment: Containment = Containment.NAMESPACE
    containment_reason: str = ""
    started: datetime
    ended: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))

    @property
    def running(self) -> bool:
        return self.ended is None

    @property
    def joined(self) -> bool:
        """Whether it only joined the network namespace of another workload (`--network container:x`)."""
        current = [item for item in self.attachments if item.until is None]
        return bool(current) and all(item.kind is NetworkKind.SHARED for item in current)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses it holds now, over all networks."""
        return tuple(address for item in self.attachments if item.until is None for address in item.addresses)

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks that belong to it now; only those of a named external network are more than addresses."""
        return tuple(network for item in self.attachments if item.until is None for network in item.networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An interned, immutable label set. Policies speak of identities; addresses are looked up."""

    id: int
    labels: tuple[tuple[str, str], ...]

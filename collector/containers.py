"""Containers: what a Docker engine says about one, as a workload. Pure: attributes in, value out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any

from ringfence.model.workload import SHARES_HOST, Address, Attachment, Containment, NetworkKind, Workload, WorkloadKind

_KINDS = {kind.value: kind for kind in (NetworkKind.BRIDGE, NetworkKind.OVERLAY, NetworkKind.MACVLAN)}
_COMPOSE = {
    "compose.project": ("com.docker.compose.project", "com.docker.stack.namespace"),
    "compose.service": ("com.docker.compose.service", "com.docker.swarm.service.name"),
}
_UNDOING = frozenset({"ALL", "NET_ADMIN"})
"""Capabilities with which a container can change the rules in its own network namespace."""
_SOCKETS = tuple(
    PurePosixPath("/run", name)
    for name in ("docker.sock", "containerd/containerd.sock", "docker/containerd/containerd.sock")
)
"""Where engines listen by default; the last belongs to a Docker that brings its own containerd."""
_STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What the kernel says about a container's first process; all None when it cannot be seen."""

    netns: int | None = None
    cgroup: str | None = None


def parse_container(
    attributes: Mapping[str, Any], *, drivers: Mapping[str, str], host: str, process: Process
) -> Workload:
    """The workload behind an inspection.

    `drivers` maps network names to Docker's drivers. `ended` is set when it does not run.

    Raises:
        KeyError, ValueError: the engine's answer lacks what every engine tells.
    """
    state, settings, host_config = attributes["State"], attributes["Config"], attributes["HostConfig"]
    running = bool(state["Running"])
    started = parse_stamp(state["StartedAt"]) or parse_stamp(attributes["Created"]) or datetime.now(UTC)
    pid = int(state["Pid"]) or None
    name = str(attributes["Name"]).lstrip("/")
    labels = labels_of(settings.get("Labels") or {}, name=name, image=str(settings["Image"]), host=host)
    mode = str(host_config.get("NetworkMode") or "")
    attachments = tuple(_attachments(attributes, mode, drivers, started))
    containment, reason = containment_of(attributes, attachments)
    return Workload(
        id=str(attributes["Id"]),
        name=name,
        kind=WorkloadKind.CONTAINER,
        host=host,
        labels=labels,
        image=str(settings["Image"]),
        project=labels.get("compose.project"),
        pid=pid if running else None,
        netns=process.netns if running else None,
        netns_path=f"/proc/{pid}/ns/net" if running and pid and process.netns else None,
        cgroup=process.cgroup if running else None,
        attachments=attachments,
        containment=containment,
        containment_reason=reason,
        started=started,
        ended=None if running else parse_stamp(state.get("FinishedAt")) or started,
    )


def labels_of(given: Mapping[str, str], *, name: str, image: str, host: str) -> dict[str, str]:
    """The container's labels as they are, and `name`, `image`, `host`, `compose.project`, `compose.service`.

    A label that the container has under such a name itself stays what it is. An image may bring anything: what no
    database holds (NUL, halves of surrogate pairs) is replaced.
    """
    given = {_storable(key): _storable(value) for key, value in given.items()}
    derived = {"name": name, "image": image, "host": host}
    for label, sources in _COMPOSE.items():
        value = next((given[source] for source in sources if given.get(source)), None)
        if value is not None:
            derived[label] = value
    return derived | given


def _storable(text: object) -> str:
    return str(text).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def containment_of(attributes: Mapping[str, Any], attachments: Sequence[Attachment]) -> tuple[Containment, str]:
    """Where rules can be put so that the container cannot undo them, and the reason if not in its namespace."""
    host_config = attributes["HostConfig"]
    powers = list(_powers(host_config))
    kinds = {item.kind for item in attachments}
    escape = _escape(attributes)
    if NetworkKind.HOST in kinds:
        if powers:
            reason = f"it shares the host's network and {' and '.join(powers)}, so it may change the host's rules"
            return Containment.NOT_CONTAINABLE, _join(reason, escape)
        return Containment.CGROUP, _join(SHARES_HOST, escape)
    if powers:
        reason = f"it {' and '.join(powers)}, so it may change the rules in its own namespace"
        beyond = sorted(kind.value for kind in kinds - {NetworkKind.BRIDGE, NetworkKind.NONE, NetworkKind.SHARED})
        if beyond:
            reason += f"; {' and '.join(beyond)} traffic does not pass the host's rules"
            return Containment.NOT_CONTAINABLE, _join(reason, escape)
        return Containment.HOST_SIDE, _join(reason, escape)
    return Containment.NAMESPACE, escape


def share_containment(workloads: Iterable[Workload]) -> tuple[Workload, ...]:
    """Whoever shares a namespace with a container that may change its rules is no better contained than that one."""
    listed = list(workloads)
    weakest: dict[int, Workload] = {}
    for item in listed:
        if item.netns is not None and item.containment in (Containment.HOST_SIDE, Containment.NOT_CONTAINABLE):
            known = weakest.get(item.netns)
            if known is None or known.containment is Containment.HOST_SIDE:
                weakest[item.netns] = item
    result = []
    for item in listed:
        peer = weakest.get(item.netns) if item.netns is not None else None
        if peer is not None and peer.id != item.id and item.containment is Containment.NAMESPACE:
            reason = _join(
                f"it shares its network with {peer.name}: {peer.containment_reason}", item.containment_reason
            )
            result.append(replace(item, containment=peer.containment, containment_reason=reason))
        else:
            result.append(item)
    return tuple(result)


def parse_stamp(text: str | None) -> datetime | None:
    """An engine's time stamp (nanoseconds, any zone) as an aware datetime; None for Docker's year 1 and for rubbish."""
    match = _STAMP.match(text or "")
    if match is None or match[1].startswith("0001"):
        return None
    fraction = (match[2] or ".0")[:7]
    zone = "+00:00" if match[3] == "Z" else match[3]
    return datetime.fromisoformat(f"{match[1]}{fraction.ljust(7, '0')}{zone}").astimezone(UTC)


def parse_cgroup(text: str) -> str | None:
    """The cgroup2 path in the text of /proc/PID/cgroup, without the leading slash; None when there is none."""
    for line in text.splitlines():
        number, _, path = line.partition("::")
        if number == "0" and path.strip("/"):
            return path.strip("/")
    return None


def _attachments(
    attributes: Mapping[str, Any], mode: str, drivers: Mapping[str, str], since: datetime
) -> Iterable[Attachment]:
    if mode.startswith("container:"):
        yield Attachment(network=mode, kind=NetworkKind.SHARED, since=since)
        return
    for name, entry in sorted((attributes["NetworkSettings"].get("Networks") or {}).items()):
        driver = {"host": "host", "none": "none"}.get(name, drivers.get(name, ""))
        kind = NetworkKind(driver) if driver in {"host", "none"} else _KINDS.get(driver, NetworkKind.OTHER)
        yield Attachment(
            network=name,
            kind=kind,
            addresses=tuple(_addresses(entry)),
            mac=entry.get("MacAddress") or None,
            since=since,
        )


def _addresses(entry: Mapping[str, Any]) -> Iterable[Address]:
    for key in ("IPAddress", "GlobalIPv6Address"):
        if entry.get(key):
            yield ip_address(entry[key])


def _powers(host_config: Mapping[str, Any]) -> Iterable[str]:
    if host_config.get("Privileged"):
        yield "is privileged"
        return
    added = {str(item).upper().removeprefix("CAP_") for item in host_config.get("CapAdd") or ()}
    if added & _UNDOING:
        yield "has CAP_NET_ADMIN"


def _escape(attributes: Mapping[str, Any]) -> str:
    """A way round any containment: control of the engine itself."""
    for mount in attributes.get("Mounts") or ():
        source = str(mount.get("Source") or "")
        if source.endswith(("docker.sock", "containerd.sock")):
            return f"it holds {source}, so it can start containers without any limit"
        if any(socket.is_relative_to(_real(source)) for socket in _SOCKETS):
            return f"it holds {source} with the engine's socket in it, so it can start containers without any limit"
    return ""


def _real(source: str) -> PurePosixPath:
    """/var/run is a link to /run on every system of today, so /var does not hold what is below it."""
    path = PurePosixPath(source)
    return PurePosixPath("/run", path.relative_to("/var/run")) if path.is_relative_to("/var/run") else path


def _join(*reasons: str) -> str:
    return "; ".join(reason for reason in reasons if reason)

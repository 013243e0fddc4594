"""Cutting what is connected: conntrack entries and sockets of one namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from enforcer.iptables import Runner
from enforcer.netns import Netns
from enforcer.render import TCP, UDP
from enforcer.scope import Scope
from ringfence.errors import EnforcementFailed
from ringfence.model.policy import PortInterval
from ringfence.model.quarantine import ControlledAccess
from ringfence.model.verdict import Direction

_FIELD = re.compile(r"\b(src|dst|dport|type)=(\S+)")
_ENDPOINTS = re.compile(r"\bsrc=(\S+) dst=(\S+)")
FAMILIES = ("ipv4", "ipv6")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """`connections` tracked ones were forgotten, `sockets` were destroyed, `left` are tracked afterwards.

    `problem` says in words what could not be done; empty when all was.
    """

    connections: int
    sockets: int
    left: int
    problem: str = ""


def cut_connections(
    netns: Netns, run: Runner, scope: Scope | None = None, access: Sequence[ControlledAccess] = ()
) -> Cut:
    """Forget every tracked connection that leaves the namespace and destroy its connected sockets.

    What `access` grants is neither counted nor destroyed; when others are forgotten, so is it, but its next packet
    begins it anew.

    With a scope: only the connections with its mark and the sockets of its cgroup. The rules that drop must be in
    force: they keep an entry from coming back. Loopback is left alone.

    Raises:
        EnforcementFailed: no scope in a namespace that others share; nothing was cut.
    """
    scoped(netns, scope)
    problems: list[str] = []
    before = _leaving(netns, run, scope, access, problems)
    if not problems and (before or not access):
        _forget(netns, run, scope, before, problems)
    sockets = _destroy_sockets(netns, run, scope, access, problems)
    left = _leaving(netns, run, scope, access, problems)
    return Cut(
        connections=max(0, before - left), sockets=sockets, left=left, problem="; ".join(dict.fromkeys(problems))
    )


def scoped(netns: Netns, scope: Scope | None) -> None:
    """Refuses to cut everything in a namespace where others are connected as well.

    Raises:
        EnforcementFailed: it is shared, and there is no scope.
    """
    if netns.shared and scope is None:
        raise EnforcementFailed("the host's own namespace is never cut as a whole")


def _forget(netns: Netns, run: Runner, scope: Scope | None, count: int, problems: list[str]) -> None:
    try:
        if scope is None:
            run(["conntrack", "-F"], netns=netns)
        elif count:
            for family in FAMILIES:
                with suppress(EnforcementFailed):  # status 1 also means that this family had none
                    run(["conntrack", "-D", "-f", family, "-m", scope.mark], netns=netns)
    except EnforcementFailed as error:
        problems.append(str(error))


def _leaving(
    netns: Netns, run: Runner, scope: Scope | None, access: Sequence[ControlledAccess], problems: list[str]
) -> int:
    count = 0
    only = [] if scope is None else ["-m", scope.mark]
    for family in FAMILIES:
        try:
            text = run(["conntrack", "-L", "-f", family, *only], netns=netns)
        except EnforcementFailed as error:
            problems.append(str(error))
            continue
        count += sum(1 for line in leaving(text) if not any(_granted(line, item) for item in access))
    return count


def leaving(listing: str) -> Iterator[str]:
    """The lines of `conntrack -L` whose connection is not from the namespace to itself."""
    for line in listing.splitlines():
        match = _ENDPOINTS.search(line)
        if match and not _own(match[1], match[2]):
            yield line


def _granted(line: str, access: ControlledAccess) -> bool:
    """Whether this line of `conntrack -L` is a connection that the access opens; its first addresses opened it."""
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(line):
        fields.setdefault(name, value)
    service = access.service
    far = _address(fields["src" if access.direction is Direction.INGRESS else "dst"])
    if far.version != access.network.version or far not in access.network:
        return False
    if service.protocol is not None and line.split()[1] != str(service.protocol):
        return False
    port = int(fields.get("dport", "-1"))
    if service.ports and not any(item.first <= port <= item.last for item in service.ports):
        return False
    return service.icmp_type is None or fields.get("type") == str(service.icmp_type)


def _own(source: str, destination: str) -> bool:
    src, dst = _address(source), _address(destination)
    return src == dst or (src.is_loopback and dst.is_loopback)


def _address(text: str) -> IPv4Address | IPv6Address:
    return ip_address(text)


def _destroy_sockets(
    netns: Netns, run: Runner, scope: Scope | None, access: Sequence[ControlledAccess], problems: list[str]
) -> int:
    """SOCK_DESTROY (CONFIG_INET_DIAG_DESTROY) through ss: programs fail at once and do not hang."""
    only = ["not", "dst", "127.0.0.0/8", "and", "not", "dst", "[::1]"] if scope is None else ["cgroup", scope.folder]
    kinds = {("-t",): (TCP,), ("-u",): (UDP,)} if access else {("-t", "-u"): (TCP, UDP)}
    count = 0
    try:
        for flags, protocols in kinds.items():
            spared = [word for item in access for word in _spared(item, protocols[0])]
            text = run(["ss", "-K", "-H", "-n", *flags, "state", "connected", *only, *spared], netns=netns)
            count += len(text.splitlines())
    except EnforcementFailed as error:
        problems.append(f"sockets were not destroyed, they time out: {error}")
    return count


def _spared(access: ControlledAccess, protocol: int) -> Iterator[str]:
    """The part of an ss filter that leaves the sockets of a controlled access alone."""
    if access.service.protocol not in (None, protocol):
        return
    network = str(access.network)
    if access.network.version == 6:
        network = "[{}]/{}".format(*network.split("/"))
    side = "sport" if access.direction is Direction.INGRESS else "dport"
    for item in access.service.ports or (PortInterval(first=0, last=65535),):
        ports = (side, ">=", f":{item.first}", "and", side, "<=", f":{item.last}")
        yield from ("and", "not", "(", "dst", network, "and", *ports, ")")

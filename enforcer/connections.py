"""Cutting what is connected: conntrack entries and sockets of one namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from enforcer.iptables import Runner
from enforcer.netns import Netns
from enforcer.scope import Scope
from ringfence.errors import EnforcementFailed

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


def cut_connections(netns: Netns, run: Runner, scope: Scope | None = None) -> Cut:
    """Forget every tracked connection that leaves the namespace and destroy its connected sockets.

    With a scope: only the connections with its mark and the sockets of its cgroup. The rules that drop must be in
    force: they keep an entry from coming back. Loopback is left alone.
    """
    problems: list[str] = []
    before = _leaving(netns, run, scope, problems)
    if not problems:
        _forget(netns, run, scope, before, problems)
    sockets = _destroy_sockets(netns, run, scope, problems)
    left = _leaving(netns, run, scope, problems)
    return Cut(
        connections=max(0, before - left), sockets=sockets, left=left, problem="; ".join(dict.fromkeys(problems))
    )


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


def _leaving(netns: Netns, run: Runner, scope: Scope | None, problems: list[str]) -> int:
    count = 0
    only = [] if scope is None else ["-m", scope.mark]
    for family in FAMILIES:
        try:
            text = run(["conntrack", "-L", "-f", family, *only], netns=netns)
        except EnforcementFailed as error:
            problems.append(str(error))
            continue
        count += sum(1 for _ in leaving(text))
    return count


def leaving(listing: str) -> Iterator[str]:
    """The lines of `conntrack -L` whose connection is not from the namespace to itself."""
    for line in listing.splitlines():
        match = _ENDPOINTS.search(line)
        if match and not _own(match[1], match[2]):
            yield line


def _own(source: str, destination: str) -> bool:
    src, dst = _address(source), _address(destination)
    return src == dst or (src.is_loopback and dst.is_loopback)


def _address(text: str) -> IPv4Address | IPv6Address:
    return ip_address(text)


def _destroy_sockets(netns: Netns, run: Runner, scope: Scope | None, problems: list[str]) -> int:
    """SOCK_DESTROY (CONFIG_INET_DIAG_DESTROY) through ss: programs fail at once and do not hang."""
    only = ["not", "dst", "127.0.0.0/8", "and", "not", "dst", "[::1]"] if scope is None else ["cgroup", scope.folder]
    try:
        text = run(["ss", "-K", "-H", "-n", "-t", "-u", "state", "connected", *only], netns=netns)
    except EnforcementFailed as error:
        problems.append(f"sockets were not destroyed, they time out: {error}")
        return 0
    return len(text.splitlines())

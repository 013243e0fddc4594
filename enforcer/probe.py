"""A probe from inside: what can the namespace still reach of its own networks?"""

from __future__ import annotations

import errno
import json
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

from enforcer.iptables import Runner
from enforcer.names import Network
from enforcer.netns import Netns, run_in
from enforcer.scope import Scope
from ringfence.model.quarantine import ControlledAccess
from ringfence.model.ruleset import PROBE_MARK
from ringfence.model.verdict import Direction

PORT = 9
"""Discard (RFC 863): nothing is expected to listen there."""
ANSWER_SECONDS = 0.15
"""An answer of a neighbour takes less; the verdict of the kernel for a datagram is immediate."""
SO_MARK = 36
ROOT = Path(__file__).parents[1]
IN_CGROUP = "import sys; sys.path.insert(0, sys.argv[1]); from enforcer.probing import main; main(sys.argv[2:])"
MOST_TARGETS = 4
FIRST_ADDRESSES = 64
NOBODYS = ("192.0.2.1", "2001:db8::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """`sent` packets were tried towards `targets`; `answered` or accepted for sending are the `passed` ones.

    `interfaces` are those that lead out of the namespace and are up.
    """

    targets: tuple[str, ...]
    sent: int
    passed: tuple[str, ...]
    interfaces: tuple[str, ...] = ()


def probe_from(
    netns: Netns, run: Runner, scope: Scope | None = None, access: Sequence[ControlledAccess] = ()
) -> ProbeResult:
    """One datagram and one connection attempt to a few addresses of the namespace's own networks, both families.

    Where `access` lets it go is not tried.

    With a scope a short-lived process makes them inside its cgroup: a socket belongs to the cgroup it was made in.

    Raises:
        EnforcementFailed: the namespace is gone or cannot be entered.
    """
    addresses = json.loads(run(["ip", "-j", "address"], netns=netns) or "[]")
    routes = [
        *json.loads(run(["ip", "-j", "-4", "route"], netns=netns) or "[]"),
        *json.loads(run(["ip", "-j", "-6", "route"], netns=netns) or "[]"),
    ]
    interfaces = tuple(str(item["ifname"]) for item in _outward(addresses))
    opened = [item.network for item in access if item.direction is Direction.EGRESS]
    targets = tuple(targets_of(addresses, routes, opened))
    if scope is None:
        return replace(run_in(netns, lambda: attempt_all(targets)), interfaces=interfaces)
    passed = run([sys.executable, "-c", IN_CGROUP, str(ROOT), scope.folder, *targets], netns=netns)
    return ProbeResult(targets=targets, sent=2 * len(targets), passed=tuple(passed.splitlines()), interfaces=interfaces)


def targets_of(
    addresses: Iterable[Mapping[str, Any]], routes: Sequence[Mapping[str, Any]], opened: Sequence[Network] = ()
) -> list[str]:
    """Gateways, hosts with a route of their own, then a neighbour per network; at most two per family.

    Link-local IPv6 only where nothing else is: an interface has no such address in its first seconds (RFC 4862). Last
    comes an address that belongs to nobody (RFC 5737, RFC 3849), if there is a way beyond. None is in `opened`.
    """
    held = [(link, ip_interface(f"{item['local']}/{item['prefixlen']}")) for link, item in _held(addresses)]
    own = {str(interface.ip) for _, interface in held}
    hosts = [(str(route["gateway"]), route.get("dev", "")) for route in routes if "gateway" in route]
    hosts += [(str(route["dst"]), route.get("dev", "")) for route in routes if _is_host(route)]
    hosts += [(_neighbour(interface.network, own, opened), link) for link, interface in held]
    free = [item for item in dict.fromkeys(hosts) if item[0] and item[0] not in own and not _within(item[0], opened)]
    plain = [host for host, _ in free if not _needs_device(host)]
    if not any(ip_address(host).version == 6 for host in plain):
        plain += [f"{host}%{device}" for host, device in free if _needs_device(host) and not plain]
    if not plain and any(route.get("dst") == "default" for route in routes):
        plain = [host for host in NOBODYS if not _within(host, opened)]
    unique = list(dict.fromkeys(plain))
    return [
        text
        for version in (4, 6)
        for text in [t for t in unique if ip_address(t).version == version][: MOST_TARGETS // 2]
    ]


def _outward(addresses: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [link for link in addresses if "UP" in link.get("flags", ()) and "LOOPBACK" not in link["flags"]]


def _held(addresses: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for link in _outward(addresses):
        for item in link.get("addr_info", ()):
            yield link.get("ifname", ""), item


def _is_host(route: Mapping[str, Any]) -> bool:
    """A route to one address on the link itself."""
    dst = str(route.get("dst", "default"))
    return "gateway" not in route and dst != "default" and ip_network(dst, strict=False).num_addresses == 1


def _needs_device(host: str) -> bool:
    address = ip_address(host)
    return address.version == 6 and address.is_link_local


def _within(host: str, networks: Sequence[Network]) -> bool:
    return any(ip_address(host) in network for network in networks)


def _neighbour(network: Network, own: set[str], opened: Sequence[Network]) -> str:
    """One of the network's first addresses that is neither the namespace's own nor opened; empty when there is none."""
    start, count = int(network.network_address), network.num_addresses
    for offset in range(1 if count > 2 else 0, min(count, FIRST_ADDRESSES)):
        candidate = str(type(network.network_address)(start + offset))
        if candidate not in own and not _within(candidate, opened):
            return candidate
    return ""


def attempt_all(targets: Sequence[str]) -> ProbeResult:
    """Try every target from the calling thread's namespace, by UDP and TCP."""
    passed: list[str] = []
    waiting: list[tuple[str, socket.socket]] = []
    sent = 0
    try:
        for target in targets:
            for kind, word in ((socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")):
                sent += 1
                with_state = _attempt(target, kind)
                if with_state is None:
                    continue
                if kind == socket.SOCK_STREAM:
                    waiting.append((f"{word} to {target}", with_state))
                else:
                    with_state.close()
                    passed.append(f"{word} to {target}")
        if waiting:
            time.sleep(ANSWER_SECONDS)
        passed += [name for name, attempt in waiting if _answered(attempt)]
    finally:
        for _, attempt in waiting:
            attempt.close()
    return ProbeResult(targets=tuple(targets), sent=sent, passed=tuple(passed))


def _attempt(target: str, kind: socket.SocketKind) -> socket.socket | None:
    """None: the kernel refused to send it. A datagram that a rule drops on its way out fails with EPERM."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    attempt = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        attempt.setsockopt(socket.SOL_SOCKET, SO_MARK, PROBE_MARK)
        host, _, device = target.partition("%")
        attempt.connect((host, PORT, 0, socket.if_nametoindex(device)) if device else (host, PORT))
        attempt.send(b"ringfence probe")
    except BlockingIOError:
        return attempt
    except OSError as error:
        if error.errno in (errno.EINPROGRESS, errno.EALREADY):
            return attempt
        attempt.close()
        return None
    return attempt


def _answered(attempt: socket.socket) -> bool:
    """Whether anything came back: an acceptance or a refusal."""
    code = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        return code == errno.ECONNREFUSED
    try:
        attempt.getpeername()
    except OSError:
        return False
    return True

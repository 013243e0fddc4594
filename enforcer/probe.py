"""A probe from inside: what can the namespace still reach of its own networks?"""

from __future__ import annotations

import errno
import json
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

from enforcer.iptables import Runner
from enforcer.netns import Netns, run_in
from enforcer.scope import Scope
from ringfence.model.ruleset import PROBE_MARK

PORT = 9
"""Discard (RFC 863): nothing is expected to listen there."""
ANSWER_SECONDS = 0.15
"""An answer of a neighbour takes less; the verdict of the kernel for a datagram is immediate."""
SO_MARK = 36
ROOT = Path(__file__).parents[1]
IN_CGROUP = "import sys; sys.path.insert(0, sys.argv[1]); from enforcer.probing import main; main(sys.argv[2:])"
MOST_TARGETS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """`sent` packets were tried towards `targets`; `answered` or accepted for sending are the `passed` ones."""

    targets: tuple[str, ...]
    sent: int
    passed: tuple[str, ...]


def probe_from(netns: Netns, run: Runner, scope: Scope | None = None) -> ProbeResult:
    """One datagram and one connection attempt to a few addresses of the namespace's own networks, both families.

    With a scope a short-lived process makes them inside its cgroup: a socket belongs to the cgroup it was made in.

    Raises:
        EnforcementFailed: the namespace is gone or cannot be entered.
    """
    addresses = json.loads(run(["ip", "-j", "address"], netns=netns) or "[]")
    routes = [
        *json.loads(run(["ip", "-j", "-4", "route"], netns=netns) or "[]"),
        *json.loads(run(["ip", "-j", "-6", "route"], netns=netns) or "[]"),
    ]
    targets = tuple(targets_of(addresses, routes))
    if scope is None:
        return run_in(netns, lambda: attempt_all(targets))
    passed = run([sys.executable, "-c", IN_CGROUP, str(ROOT), scope.folder, *targets], netns=netns)
    return ProbeResult(targets=targets, sent=2 * len(targets), passed=tuple(passed.splitlines()))


def targets_of(addresses: Iterable[Mapping[str, Any]], routes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Gateways first, then one neighbour per network the namespace has an address in; at most two per family."""
    own, networks = set(), []
    for link in addresses:
        if "LOOPBACK" in link.get("flags", ()):
            continue
        for item in link.get("addr_info", ()):
            if item.get("scope") == "global":
                interface = ip_interface(f"{item['local']}/{item['prefixlen']}")
                own.add(str(interface.ip))
                networks.append(interface.network)
    found = [str(route["gateway"]) for route in routes if "gateway" in route]
    found = [text for text in found if not ip_address(text).is_link_local]
    found += [neighbour for network in networks if (neighbour := _neighbour(str(network), own))]
    unique = list(dict.fromkeys(found))
    return [
        text
        for version in (4, 6)
        for text in [t for t in unique if ip_address(t).version == version][: MOST_TARGETS // 2]
    ]


def _neighbour(network: str, own: set[str]) -> str:
    """The first address of the network that is not the namespace's own."""
    parsed = ip_network(network)
    start = int(parsed.network_address)
    for offset in range(0 if parsed.prefixlen >= parsed.max_prefixlen - 1 else 1, min(parsed.num_addresses, 4)):
        candidate = str(ip_address((start + offset).to_bytes(parsed.max_prefixlen // 8, "big")))
        if candidate not in own:
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
        attempt.connect((target, PORT))
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

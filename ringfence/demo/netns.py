"""Named network namespaces and the links between them, through `ip` of iproute2.

Links are created inside the namespaces that own their ends, never in the machine's own namespace.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_interface
from pathlib import Path

FOLDER = Path("/run/netns")
SETTLE_SECONDS = 3.0
POLL_SECONDS = 0.05


def run(argv: Sequence[str], *, timeout: float = 20.0) -> str:
    """Run one command and return what it printed.

    Raises:
        subprocess.CalledProcessError: it failed; `stderr` says why.
    """
    done = subprocess.run(list(argv), capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, list(argv), done.stdout, done.stderr)
        error.add_note(done.stderr.strip() or done.stdout.strip())
        raise error
    return done.stdout


def path(name: str) -> Path:
    return FOLDER / name


def inside(name: str, argv: Sequence[str]) -> list[str]:
    """The command vector that runs `argv` in the namespace; unlike `ip netns exec` it leaves /sys as it is."""
    return ["nsenter", f"--net={path(name)}", "--", *argv]


def exists(name: str) -> bool:
    return path(name).exists()


def add(name: str) -> None:
    """Create the namespace with its loopback up and IPv6 addresses usable at once (no duplicate detection)."""
    run(["ip", "netns", "add", name])
    run(["ip", "-n", name, "link", "set", "lo", "up"])
    off = [f"net.ipv6.conf.{scope}.accept_dad=0" for scope in ("all", "default")]
    run(inside(name, ["sysctl", "-q", "-w", *off]))


def pids(name: str) -> tuple[int, ...]:
    """Processes whose network namespace is this one."""
    with contextlib.suppress(subprocess.CalledProcessError):
        return tuple(int(word) for word in run(["ip", "netns", "pids", name]).split())
    return ()


def delete(name: str, *, grace: float = 2.0, wait: Callable[[float], None] = time.sleep) -> None:
    """End what still runs in the namespace and remove it; a namespace that is not there is no error."""
    if not exists(name):
        return
    for signal_number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, SETTLE_SECONDS)):
        for pid in set(pids(name)) - {os.getpid()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
        for _ in range(int(seconds / POLL_SECONDS)):
            if not pids(name):
                break
            wait(POLL_SECONDS)
    with contextlib.suppress(subprocess.CalledProcessError):
        run(["ip", "netns", "delete", name])


def add_bridge(name: str, bridge: str) -> None:
    """A bridge device inside the namespace, up, without spanning tree delay."""
    run(["ip", "-n", name, "link", "add", bridge, "type", "bridge", "forward_delay", "0", "stp_state", "0"])
    run(["ip", "-n", name, "link", "set", bridge, "up"])


def connect(
    left: str, left_interface: str, right: str, right_interface: str, *, bridge: str = "", mtu: int = 1500
) -> None:
    """A veth pair between two namespaces, both ends up; `bridge` in `right` takes the right end as a port."""
    far = ["peer", "name", right_interface, "netns", right]
    run(["ip", "-n", left, "link", "add", left_interface, "mtu", str(mtu), "type", "veth", *far])
    if bridge:
        run(["ip", "-n", right, "link", "set", right_interface, "master", bridge])
    run(["ip", "-n", right, "link", "set", right_interface, "mtu", str(mtu), "up"])
    run(["ip", "-n", left, "link", "set", left_interface, "up"])


def add_address(name: str, interface: str, *addresses: str) -> None:
    """Put `address/prefix` values of either family on an interface."""
    for text in addresses:
        value = ip_interface(text)
        extra = ["nodad"] if value.version == 6 else []
        run(["ip", "-n", name, "address", "add", str(value), "dev", interface, *extra])


def add_route(name: str, destination: str, via: str) -> None:
    """A route; `destination` is a network or `default`."""
    family = "-6" if ":" in via else "-4"
    run(["ip", family, "-n", name, "route", "add", destination, "via", via])

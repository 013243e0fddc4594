"""The shop without Docker: plain network namespaces stand in as workloads, listed in a file for the collector.

`workloads.json` is a list of `{id, name, labels, netns_path, networks}`; `networks` maps the name of a network to
`{interface, addresses}` (addresses without prefix length, IPv4 first).
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from ringfence.demo import netns
from ringfence.demo.image import busybox
from ringfence.demo.shop import BACKEND, COMPROMISED, FRONTEND, SHOP, Member

PREFIX = "rf-shop-"
INVENTORY = "workloads.json"
_SUBNETS = {FRONTEND: ("10.247.1.", "fd5a:6f70:1::"), BACKEND: ("10.247.2.", "fd5a:6f70:2::")}


def addresses(member: Member, network: str) -> tuple[str, str]:
    """IPv4 and IPv6 address of a member on a network."""
    number = 10 + SHOP.index(member)
    v4, v6 = _SUBNETS[network]
    return f"{v4}{number}", f"{v6}{number}"


def inventory() -> list[dict[str, Any]]:
    """What the collector is told: the content of `workloads.json`."""
    return [
        {
            "id": f"{PREFIX}{member.name}",
            "name": f"shop-{member.name}",
            "labels": member.labels,
            "netns_path": str(netns.path(f"{PREFIX}{member.name}")),
            "networks": {
                f"shop-{network}": {"interface": f"eth{index}", "addresses": list(addresses(member, network))}
                for index, network in enumerate(member.networks)
            },
        }
        for member in SHOP
    ]


def environment(member: Member, folder: Path) -> dict[str, str]:
    """Whom the member asks, by the address on a network that both are on."""
    found = {"PATH": str(folder / "bin"), "WWW": str(folder / "www"), "FLAG": str(folder / "compromised")}
    for name in member.asks:
        other = next(item for item in SHOP if item.name == name)
        shared = next(network for network in other.networks if network in member.networks)
        found[name.upper()] = addresses(other, shared)[0]
    return found


def place(folder: Path, data: Path) -> None:
    """Make the namespaces, start the scripts in them and write the inventory into the `data` folder.

    Raises:
        BusyboxMissing: there is no busybox to run the scripts.
        subprocess.CalledProcessError: a namespace could not be made.
    """
    programs, program = folder / "bin", busybox()
    programs.mkdir(parents=True, exist_ok=True)
    (folder / "www").mkdir(exist_ok=True)
    (folder / "www/index.html").write_text("<h1>shop</h1>\n", encoding="utf-8")
    for applet in ("sh", "httpd", "wget", "nc", "sleep", "rm"):
        (programs / applet).symlink_to(program)
    for network in (FRONTEND, BACKEND):
        netns.add(f"{PREFIX}{network}")
        netns.add_bridge(f"{PREFIX}{network}", "br0")
    for member in SHOP:
        name = f"{PREFIX}{member.name}"
        netns.add(name)
        for index, network in enumerate(member.networks):
            netns.connect(name, f"eth{index}", f"{PREFIX}{network}", f"p-{member.name}"[:15], bridge="br0")
            v4, v6 = addresses(member, network)
            netns.add_address(name, f"eth{index}", f"{v4}/24", f"{v6}/64")
        _run(name, member, folder)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    (data / INVENTORY).write_text(json.dumps(inventory(), indent=2), encoding="utf-8")


def _run(name: str, member: Member, folder: Path) -> None:
    argv = netns.inside(name, [str(folder / "bin/sh"), "-c", member.script])
    quiet = [(os.POSIX_SPAWN_OPEN, handle, os.devnull, os.O_RDWR, 0) for handle in (0, 1, 2)]
    os.posix_spawnp(argv[0], argv, environment(member, folder), file_actions=quiet, setsid=True)


def compromise(folder: Path) -> None:
    """Make the one workload misbehave."""
    (folder / "compromised").touch()


def remove() -> int:
    """End what runs in the namespaces and delete them; returns how many there were."""
    found = sorted(item.name for item in netns.FOLDER.glob(f"{PREFIX}*"))
    for name in found:
        for pid in netns.pids(name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        netns.delete(name)
    return len(found)


__all__ = [
    "COMPROMISED",
    "INVENTORY",
    "PREFIX",
    "addresses",
    "compromise",
    "environment",
    "inventory",
    "place",
    "remove",
]

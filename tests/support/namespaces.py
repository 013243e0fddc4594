"""Network namespaces for tests: made with unique names, wired with veth pairs, and always removed.

with Fabric() as fabric:
    client, server = fabric.namespace("client"), fabric.namespace("server")
    fabric.wire(client, server, ["10.9.0.1/24", "fd09::1/64"], ["10.9.0.2/24", "fd09::2/64"])
    client.run("ping", "-c1", "10.9.0.2")
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ringfence.demo import engine, netns

PREFIX = "rft"
_numbers = itertools.count()
_OURS = re.compile(rf"^{PREFIX}(\d+)-")


def unique_name(hint: str) -> str:
    """A name nobody else has, which tells whose it is: `rft<pid>-<number><hint>`."""
    return f"{PREFIX}{os.getpid()}-{next(_numbers)}{hint}"


@dataclass(frozen=True, slots=True)
class Namespace:
    """One named network namespace."""

    name: str

    @property
    def path(self) -> Path:
        return netns.path(self.name)

    @property
    def inode(self) -> int:
        """The number that identifies it in the kernel."""
        return self.path.stat().st_ino

    def command(self, *argv: str) -> list[str]:
        return netns.inside(self.name, argv)

    def run(self, *argv: str, check: bool = True, timeout: float = 30, input: str | None = None) -> str:  # noqa: A002
        """Run in the namespace and return stdout; with `check`, a failure raises and carries stderr."""
        done = subprocess.run(
            self.command(*argv), capture_output=True, text=True, timeout=timeout, check=False, input=input
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start in the namespace; what still runs at the end of the fabric is ended with it."""
        return subprocess.Popen(self.command(*argv), **options)

    def sysctl(self, **values: int | str) -> None:
        """Set sysctls of this namespace; `__` stands for a dot: `net__ipv4__ip_forward=1`."""
        self.run("sysctl", "-q", "-w", *(f"{key.replace('__', '.')}={value}" for key, value in values.items()))


class Fabric:
    """Owns namespaces and whatever else must go away afterwards, in reverse order, whatever happened."""

    def __init__(self) -> None:
        self._exit = contextlib.ExitStack()
        self._interfaces = itertools.count()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def defer(self, work: Callable[..., object], *arguments: Any, **options: Any) -> None:
        """Call this at the end."""
        self._exit.callback(work, *arguments, **options)

    def folder(self, hint: str) -> Path:
        """A short-named temporary folder (socket paths are limited to 107 characters)."""
        made = Path(tempfile.mkdtemp(prefix=unique_name(hint), dir="/tmp"))
        self.defer(shutil.rmtree, made, ignore_errors=True)
        return made

    def namespace(self, hint: str = "ns") -> Namespace:
        name = unique_name(hint)
        self.defer(netns.delete, name)
        netns.add(name)
        return Namespace(name)

    def wire(
        self,
        left: Namespace,
        right: Namespace,
        left_addresses: Sequence[str] = (),
        right_addresses: Sequence[str] = (),
        *,
        mtu: int = 1500,
    ) -> tuple[str, str]:
        """A veth pair with addresses (`10.0.0.1/24`, `fd00::1/64`) at both ends; returns the interface names."""
        number = next(self._interfaces)
        names = f"w{number}a", f"w{number}b"
        netns.connect(left.name, names[0], right.name, names[1], mtu=mtu)
        netns.add_address(left.name, names[0], *left_addresses)
        netns.add_address(right.name, names[1], *right_addresses)
        return names

    def switch(self, hint: str = "sw") -> Namespace:
        """A namespace that holds one bridge, `br0`; `plug` connects others to it."""
        made = self.namespace(hint)
        netns.add_bridge(made.name, "br0")
        return made

    def plug(
        self, namespace: Namespace, switch: Namespace, *addresses: str, interface: str = "", mtu: int = 1500
    ) -> str:
        """Connect a namespace to a switch; returns the name of its interface."""
        number = next(self._interfaces)
        name = interface or f"w{number}a"
        netns.connect(namespace.name, name, switch.name, f"w{number}p", bridge="br0", mtu=mtu)
        netns.add_address(namespace.name, name, *addresses)
        return name


def leftovers() -> tuple[str, ...]:
    """Namespaces of this process that exist now."""
    return tuple(sorted(item.name for item in netns.FOLDER.glob(f"{PREFIX}{os.getpid()}-*")))


def sweep() -> tuple[str, ...]:
    """Remove what a killed test run left behind: namespaces and folders named after a process that is gone."""
    removed = []
    for item in [*Path("/tmp").glob(f"{PREFIX}*"), *netns.FOLDER.glob(f"{PREFIX}*")]:
        match = _OURS.match(item.name)
        if match is None or Path("/proc", match[1]).exists():
            continue
        if item.parent == netns.FOLDER:
            netns.delete(item.name, grace=0)
        else:
            ids = engine.container_ids(item)
            engine.kill_all(item)
            engine.unmount_below(item)
            shutil.rmtree(item, ignore_errors=True)
            engine.remove_empty_cgroups(ids)
        removed.append(item.name)
    return tuple(removed)

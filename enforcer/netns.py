"""Network namespaces: opened by path, identified by inode, entered by a thread of their own."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from ringfence.errors import EnforcementFailed

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Netns:
    """One namespace: `inode` says which, `path` opens it as long as it names that inode.

    `shared`: it is an engine's own, where others than workloads are connected as well.
    """

    inode: int
    path: str
    shared: bool = False


class NamespaceGone(EnforcementFailed):
    """The namespace has ended, or its path names another one now."""


def everywhere(proc: Path = Path("/proc"), named: Path = Path("/run/netns")) -> dict[int, Netns]:
    """Every namespace that a process, a name or a mount keeps reachable, by inode."""
    found: dict[int, Netns] = {}
    for path in (*proc.glob("[0-9]*/ns/net"), *named.glob("*"), *_mounted(proc)):
        with suppress(OSError):
            inode = path.stat().st_ino
            found.setdefault(inode, Netns(inode=inode, path=str(path)))
    return found


def _mounted(proc: Path) -> Iterator[Path]:
    """Namespaces without a process that an engine keeps by a mount: the inside of an overlay network is one."""
    for owner in ("self", "1"):
        with suppress(OSError):
            for line in (proc / owner / "mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
                root, point = line.split(" ", 5)[3:5]
                if root.startswith("net:["):
                    yield proc / owner / "root" / point.lstrip("/")


def find(netns: Netns) -> Netns:
    """The same namespace by a path that works now.

    Raises:
        NamespaceGone: nobody keeps it.
    """
    found = everywhere().get(netns.inode)
    if found is None:
        raise NamespaceGone(f"the namespace {netns.inode} is gone")
    return replace(found, shared=netns.shared)


@contextmanager
def opened(netns: Netns) -> Iterator[int]:
    """A file descriptor of exactly this namespace.

    A path like `/proc/<pid>/ns/net` names another namespace once the pid is used again: the inode is compared.

    Raises:
        NamespaceGone: it has ended.
        EnforcementFailed: it may not be opened.
    """
    try:
        descriptor = os.open(netns.path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise EnforcementFailed(f"the namespace {netns.inode} may not be opened", hint="run as root") from error
    except OSError as error:
        raise NamespaceGone(f"the namespace {netns.inode} is gone") from error
    try:
        if os.fstat(descriptor).st_ino != netns.inode:
            raise NamespaceGone(f"the namespace {netns.inode} is gone: its path names another one")
        yield descriptor
    finally:
        os.close(descriptor)


def run_in(netns: Netns, work: Callable[[], Result]) -> Result:
    """Run `work` inside the namespace, on a thread that ends with it. Sockets made there stay there.

    Raises:
        EnforcementFailed: it cannot be entered; and whatever `work` raises.
    """
    results: list[Result] = []
    failures: list[BaseException] = []

    def inside() -> None:
        try:
            with opened(netns) as descriptor:
                if _libc.setns(descriptor, CLONE_NEWNET):
                    code = ctypes.get_errno()
                    raise EnforcementFailed(f"the namespace {netns.inode} cannot be entered: {os.strerror(code)}")
            results.append(work())
        except BaseException as error:  # noqa: BLE001 -- raised again in the caller's thread
            failures.append(error)

    thread = threading.Thread(target=inside, name="enforcer-netns", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]

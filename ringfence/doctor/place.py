"""Where Ringfence lives: data folder, disk, port, Python and the packages it needs."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from ringfence.config import Config
from ringfence.doctor.check import Check, Group

GROUP = Group("place")
TIGHT, LOW = 64 * 1024 * 1024, 1024 * 1024 * 1024
SHOWN = ("duckdb", "pyarrow", "pyroute2", "docker", "flask", "sqlalchemy", "celery")


def place(config: Config) -> tuple[Check, ...]:
    """Everything about this installation."""
    folder = config.general.data_dir
    return (
        data_folder(folder),
        disk(folder, free_bytes(folder)),
        port(config.web.address, config.web.port),
        python(),
        packages(),
    )


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists and may be looked at."""
    # Path.exists raises where a folder above may not be entered.
    return next((item for item in (folder, *folder.parents) if os.path.exists(item)), Path("/"))  # noqa: PTH110


def data_folder(folder: Path) -> Check:
    """Whether records can be kept: tried with a file that is gone at once."""
    name = "data folder"
    hint = "set general.data_dir to a folder that this user may write"
    there = existing(folder)
    if not there.is_dir():
        return GROUP.fail(name, f"{there} is not a folder", hint)
    if there != folder:
        if os.access(there, os.W_OK | os.X_OK):
            return GROUP.ok(name, f"{folder} is not there yet and can be made")
        return GROUP.fail(name, f"{folder} is not there and cannot be made", hint)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"ringfence")
    except OSError as error:
        return GROUP.fail(name, f"{folder} cannot be written: {error.strerror}", hint)
    mode = folder.stat().st_mode
    if mode & 0o007:
        return GROUP.warn(name, f"{folder} is open to every user of this machine", f"chmod 0750 {folder}")
    return GROUP.ok(name, f"{folder} can be written")


def free_bytes(folder: Path) -> int | None:
    """Bytes free for this user where the folder is or will be."""
    try:
        return shutil.disk_usage(existing(folder)).free
    except OSError:
        return None


def disk(folder: Path, free: int | None) -> Check:
    """Whether there is room."""
    if free is None:
        return GROUP.unknown("disk", f"the disk of {folder} does not say how much is free")
    detail = f"{free / 1024**3:,.1f} GiB free for {folder}"
    hint = "make room, or lower store.retention_days and spool.max_bytes"
    if free < TIGHT:
        return GROUP.fail("disk", f"{free / 1024**2:,.0f} MiB free for {folder}", hint)
    return GROUP.warn("disk", detail, hint) if free < LOW else GROUP.ok("disk", detail)


def port(address: str, number: int) -> Check:
    """Whether the dashboard could listen there: tried, and let go at once."""
    where = f"{address}:{number}"
    if not 0 <= number <= 65535:
        return GROUP.fail("port", f"{number} is no port", "set web.port to a number from 1 to 65535")
    try:
        resolved = socket.getaddrinfo(address or None, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, target = resolved[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and number in own_ports():
            return GROUP.ok("port", f"this process listens on {where}")
        if error.errno == errno.EADDRINUSE:
            hint = "if that is Ringfence itself all is well; otherwise set web.port to another one"
            return GROUP.warn("port", f"something listens on {where} already", hint)
        words = error.strerror or str(error)
        return GROUP.fail("port", f"{where} cannot be listened on: {words}", "set web.address and web.port")
    return GROUP.ok("port", f"{where} is free")


def own_ports() -> frozenset[int]:
    """TCP ports that this very process listens on; empty where /proc does not say."""
    try:
        mine = {_link(item) for item in Path("/proc/self/fd").iterdir()}
    except OSError:
        return frozenset()
    found: set[int] = set()
    for table in (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6")):
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        # Columns of proc_pid_net(5): 1 is the local address, 3 the state (0A listens), 9 the inode.
        columns = (line.split() for line in lines)
        found |= {
            int(item[1].rpartition(":")[2], 16) for item in columns if item[3] == "0A" and f"socket:[{item[9]}]" in mine
        }
    return frozenset(found)


def _link(path: Path) -> str:
    """Another thread may have closed it meanwhile."""
    try:
        return str(path.readlink())
    except OSError:
        return ""


def python() -> Check:
    """The interpreter."""
    found = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036 -- the doctor must be able to say so
        return GROUP.fail("python", f"Python {found}", "Python 3.11 or later is needed")
    return GROUP.ok("python", f"Python {found}")


def packages(requirements: Iterable[str] | None = None) -> Check:
    """Whether every declared dependency is installed, at least in the version that is asked for."""
    if requirements is None:
        try:
            requirements = metadata.requires("ringfence") or ()
        except metadata.PackageNotFoundError:
            return GROUP.unknown(
                "packages", "Ringfence is not installed as a package, so it does not say what it needs"
            )
    lacking: list[str] = []
    for requirement in requirements:
        found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?(?:.*?>=\s*([0-9.]+))?", requirement)
        if found is None or "extra ==" in requirement:
            continue
        try:
            version = metadata.version(found[1])
        except metadata.PackageNotFoundError:
            lacking.append(f"{found[1]} is missing")
            continue
        if found[2] and _numbers(version) < _numbers(found[2]):
            lacking.append(f"{found[1]} {version} is older than {found[2]}")
    if lacking:
        return GROUP.fail("packages", "; ".join(lacking), "make up installs the locked versions")
    shown = ", ".join(f"{name} {_version(name)}" for name in SHOWN if _version(name))
    return GROUP.ok("packages", f"all there: {shown}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    parts = tuple(int(part) for part in re.findall(r"\d+", version.split("+", maxsplit=1)[0])[:3])
    return parts + (0,) * (3 - len(parts))

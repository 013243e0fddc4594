"""What a test needs from the machine: missing, it is skipped with the reason; in CI it fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def command(name: str) -> str | None:
    """The path of a command, found as root would find it."""
    return shutil.which(name, path=SEARCH)


def postgres_folder() -> Path | None:
    """Debian keeps the server's programs out of PATH: the newest version's folder."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _missing_command(name: str) -> str:
    return "" if command(name) else f"the command {name} is not installed"


def _missing_root() -> str:
    return "" if os.geteuid() == 0 else "root is needed"


def _missing_namespaces() -> str:
    return _missing_root() or _missing_command("ip") or _missing_command("nsenter")


def _missing_cgroup2() -> str:
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    found = [fields[1] for line in lines if (fields := line.split())[2] == "cgroup2"]
    return "" if found and os.access(found[0], os.W_OK) else "cgroup2 is not mounted, or not writable"


def _missing_docker() -> str:
    needed = ("dockerd", "containerd", "busybox", "iptables")
    return _missing_namespaces() or next(filter(None, map(_missing_command, needed)), "")


def _missing_postgres() -> str:
    return "" if postgres_folder() else "PostgreSQL (initdb, postgres) is not installed"


def _missing_elasticsearch() -> str:
    from tests.support.elasticsearch import missing

    return missing()


CHECKS: dict[str, Callable[[], str]] = {
    "root": _missing_root,
    "namespaces": _missing_namespaces,
    "cgroup2": _missing_cgroup2,
    "docker": _missing_docker,
    "postgres": _missing_postgres,
    "elasticsearch": _missing_elasticsearch,
}


def require(*names: str) -> None:
    """Go on only when all are there: a name of `CHECKS` or any command."""
    for name in names:
        reason = CHECKS[name]() if name in CHECKS else _missing_command(name)
        if not reason:
            continue
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail(f"CI must have every prerequisite: {reason}", pytrace=False)
        pytest.skip(reason)

"""The part of a shared namespace that belongs to one host-network workload."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ringfence.model.ruleset import WORKLOAD_SLOT_MASK


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """`slot` is in the mark of its connections; `folder` is its cgroup2 folder."""

    slot: int
    folder: str

    @property
    def mark(self) -> str:
        """`value/mask` as conntrack takes it."""
        return f"{self.slot << 24:#x}/{WORKLOAD_SLOT_MASK:#x}"


def cgroup_mount(mounts: str) -> str:
    """Where cgroup2 is mounted, from the text of /proc/self/mounts; empty when it is not."""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] == "cgroup2":
            return fields[1]
    return ""


def cgroup_folder(path: str) -> str:
    """The folder of a cgroup2 path of this host, empty when it does not exist (any more)."""
    mount = cgroup_mount(Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace"))
    folder = Path(mount or "/sys/fs/cgroup") / path
    return str(folder) if (folder / "cgroup.procs").exists() else ""

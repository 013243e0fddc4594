"""Removing everything of ours: from given namespaces, or from every one that can be reached."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from enforcer.cgroup import receive_everywhere
from enforcer.change import plan_change
from enforcer.kernel import Kernel, SystemKernel
from enforcer.names import Family
from enforcer.netns import NamespaceGone, Netns, everywhere
from enforcer.plan import Plan
from enforcer.scope import cgroup_mount
from ringfence.config import Enforce
from ringfence.errors import EnforcementFailed


def clean(kernel: Kernel, namespaces: Iterable[Netns]) -> int:
    """Remove our chains, jumps, sets and filters; returns from how many namespaces something was removed.

    Raises:
        EnforcementFailed: some could not be cleaned, after all others were; the message names them.
    """
    cleaned = 0
    problems: list[str] = []
    for netns in namespaces:
        try:
            cleaned += _clean_one(kernel, netns)
        except NamespaceGone:
            continue
        except EnforcementFailed as error:
            problems.append(f"namespace {netns.inode}: {error}")
    if problems:
        raise EnforcementFailed("; ".join(problems))
    return cleaned


def _clean_one(kernel: Kernel, netns: Netns) -> bool:
    observed = kernel.read(netns)
    if not observed.empty:
        kernel.write(netns, plan_change(Plan(), observed, {}))
        if not kernel.read(netns).empty:
            raise EnforcementFailed("something of ours is still there, or was put back: is `ringfence up` running?")
    # Last: without tc the interfaces cannot be looked at, which must not keep the rules from going.
    opened = bool(kernel.seal(netns, None).changed)
    if unseen := [f"{family.label}: {observed.unreadable[family]}" for family in Family if family in observed.unseen]:
        raise EnforcementFailed(f"something of ours may still be there in {'; '.join(unseen)}")
    return opened or not observed.empty


def clean_everywhere(settings: Enforce | None = None) -> int:
    """Remove everything of ours from every namespace of this host that can be reached, and from every cgroup.

    Returns from how many namespaces something was removed.

    Raises:
        EnforcementFailed: some could not be cleaned, after all others were.
    """
    clean_cgroups()
    return clean(SystemKernel(settings or Enforce()), everywhere().values())


def clean_cgroups() -> int:
    """Take our program away from every cgroup of this host; returns from how many."""
    mount = cgroup_mount(Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace"))
    return receive_everywhere(mount or "/sys/fs/cgroup")

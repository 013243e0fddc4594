"""A process of its own that joins a cgroup, tries the targets and writes what got through, one per line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from enforcer.probe import attempt_all


def main(arguments: Sequence[str]) -> None:
    """`arguments`: the cgroup's folder and the targets. What got through goes to stdout."""
    folder, *targets = arguments
    Path(folder, "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    sys.stdout.write("".join(f"{name}\n" for name in attempt_all(targets).passed))

"""Data goes one way, and what must stay pure stays pure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import ROOT, imported, modules

OUTSIDE_WORLD = {
    "asyncio",
    "ctypes",
    "http",
    "os",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
}
OUTSIDE_WORLD |= {"time", "urllib", "uuid", "pyroute2", "docker", "duckdb", "sqlalchemy", "elasticsearch", "redis"}
BANNED = {"pickle", "marshal", "shelve", "dill"}


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def test_the_layers_hold() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [path for path in modules() if path.parts[0] == "policy_engine"], ids=str)
def test_the_policy_engine_knows_no_outside_world(path: Path) -> None:
    assert roots(path) & OUTSIDE_WORLD == set()
    assert [name for name in imported(path) if name.startswith(("ringfence.store", "ringfence.clock"))] == []


@pytest.mark.parametrize("path", [path for path in modules() if path.parts[:2] == ("ringfence", "model")], ids=str)
def test_the_vocabulary_needs_the_standard_library_and_arrow_only(path: Path) -> None:
    outside = roots(path) - set(sys.stdlib_module_names) - {"pyarrow", "ringfence", "__future__"}
    assert (outside, roots(path) & OUTSIDE_WORLD) == (set(), set())


def test_scapy_is_imported_in_one_module_at_most() -> None:
    assert len([path for path in modules() if "scapy" in roots(path)]) <= 1


def test_nothing_unpickles() -> None:
    assert [str(path) for path in modules() if roots(path) & BANNED] == []

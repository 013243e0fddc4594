"""The npm packages that only tests use: installed once, exactly as `tests/javascript/package-lock.json` pins them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from tests.support.repository import ROOT
from tests.support.require import command, require

FOLDER = ROOT / "tests" / "javascript"


@cache
def package(name: str) -> Path:
    """The folder of an installed package; `npm ci` brings what is missing or older than the lock file."""
    require("npm", "node")
    installed, lock = FOLDER / "node_modules" / ".package-lock.json", FOLDER / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        npm = [str(command("npm")), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress"]
        done = subprocess.run(npm, cwd=FOLDER, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return FOLDER / "node_modules" / name

"""The ES modules keep to the types that their JSDoc comments state."""

from __future__ import annotations

import subprocess

from tests.support.javascript import FOLDER, package
from tests.support.repository import ROOT
from tests.support.require import command


def test_the_modules_have_no_type_errors() -> None:
    compiler = [str(command("node")), str(package("typescript") / "bin" / "tsc"), "--project", str(FOLDER)]
    done = subprocess.run(compiler, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_module_is_among_them() -> None:
    sources = sorted((ROOT / "web" / "static" / "js").rglob("*.js"))
    assert [path.name for path in sources if not path.read_text("utf-8").startswith("// @ts-check")] == []

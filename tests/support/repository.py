"""The repository as data: which files it has, which modules, and generated parts of documents."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ringfence", "collector", "policy_engine", "enforcer", "audit", "web")


def files(*suffixes: str) -> list[Path]:
    """Files of the project, tracked or new, without what is ignored; relative to the root, sorted."""
    listed = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    found = {Path(name) for name in names if Path(name).suffix in suffixes or not suffixes}
    return sorted(path for path in found if (ROOT / path).is_file())


def modules() -> list[Path]:
    """Python files of the six packages, without `__init__.py`."""
    return [path for path in files(".py") if path.parts[0] in PACKAGES and path.name != "__init__.py"]


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere in it; `from a import b` gives `a` and `a.b`."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def compare(document: Path, name: str, wanted: str, *, update: bool) -> None:
    """The part of a document between `<!-- NAME -->` and `<!-- /NAME -->` is exactly what the code gives.

    With `update` (pytest --update-golden) it is written instead.
    """
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    assert start in text, f"{document} has no part {name}"
    assert end in text, f"{document} has no end of part {name}"
    head, rest = text.split(start, 1)
    found, tail = rest.split(end, 1)
    if update:
        path.write_text(f"{head}{start}{wanted.strip()}\n{end}{tail}", encoding="utf-8")
        return
    assert found.strip() == wanted.strip(), f"{document} is behind the code: run pytest tests/meta --update-golden"

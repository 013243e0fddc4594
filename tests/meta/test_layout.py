"""The tree is what the conventions say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.repository import PACKAGES, ROOT, files, modules

LONGEST = 400
# Modules that only declare values or protocols: there is nothing to run in them.
DECLARATIONS = {
    "collector/columns.py",
    "ringfence/errors.py",
    "ringfence/metrics.py",
    "ringfence/store/flows.py",
    "ringfence/store/state.py",
    "web/actions.py",
    *(
        f"ringfence/model/{name}.py"
        for name in ("event", "filter", "finding", "gap", "policy", "quarantine", "verdict")
    ),
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
GENERATED = ("web/static/vendor/", "requirements")


def test_every_module_has_its_unit_test() -> None:
    wanted = {path: Path("tests/unit", path.parent, f"test_{path.name}") for path in modules()}
    lacking = [
        str(path) for path, test in wanted.items() if not (ROOT / test).exists() and "versions" not in path.parts
    ]
    assert sorted(set(lacking) - DECLARATIONS) == []
    assert sorted(DECLARATIONS - {str(path) for path in wanted}) == []


def test_every_unit_test_has_its_module() -> None:
    tests = [path for path in files(".py") if path.parts[:2] == ("tests", "unit") and path.name.startswith("test_")]
    known = {Path("tests/unit", path.parent, f"test_{path.name}") for path in modules()}
    packages = {Path("tests/unit", item.parent.parent, f"test_{item.parent.name}.py") for item in files(".py")}
    assert [str(path) for path in tests if path not in known | packages] == []


def test_no_file_is_too_long() -> None:
    sources = [path for path in files(".py", ".js", ".css", ".html", ".sh") if not str(path).startswith(GENERATED)]
    long = {str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in sources}
    assert {path: lines for path, lines in long.items() if lines > LONGEST} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_says_what_comes_in_what_goes_out_and_what_it_never_does(package: str) -> None:
    text = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert [word for word in ("In:", "Out:", "Never:") if word not in text] == []


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in files(".py") if path.parts[0] in PACKAGES and (ROOT / path).read_bytes().strip()]
    silent = [path for path in silent if not ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))]
    assert [str(path) for path in silent] == []


def test_files_are_named_by_their_noun() -> None:
    assert [str(path) for path in files(".py") if path.stem in FORBIDDEN_NAMES] == []


def test_the_tests_are_no_packages() -> None:
    assert [str(path) for path in files(".py") if path.parts[0] == "tests" and path.name == "__init__.py"] == []


def test_the_tests_patch_no_modules() -> None:
    patching = ("monkeypatch.setattr(", "mock.patch", "mocker.")
    tests = [path for path in files(".py") if path.parts[0] == "tests" and path.name != Path(__file__).name]
    assert [str(path) for path in tests if any(word in (ROOT / path).read_text("utf-8") for word in patching)] == []

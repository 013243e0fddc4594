"""One distribution, six packages, pinned dependencies."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.repository import PACKAGES, ROOT, files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements.lock", "requirements-dev.lock")


def pinned(lock: str) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def named(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", item)[0].lower() for item in requirements}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_provides_our_packages(package: str) -> None:
    assert set(packages_distributions().get(package, ["ringfence"])) == {"ringfence"}


def test_the_wheel_holds_exactly_the_packages_of_the_tree() -> None:
    tree = {path.parts[0] for path in files(".py") if len(path.parts) == 2 and path.name == "__init__.py"}
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(PACKAGES) == tree


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pinned_dependency_has_its_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pinned(lock)) > 10
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_locks_hold_what_the_project_asks_for() -> None:
    assert named(PROJECT["project"]["dependencies"]) - set(pinned("requirements.lock")) == set()
    assert named(PROJECT["dependency-groups"]["dev"]) - set(pinned("requirements-dev.lock")) == set()


def test_the_tests_run_with_the_versions_that_are_shipped() -> None:
    shipped, tested = pinned("requirements.lock"), pinned("requirements-dev.lock")
    assert {name: version for name, version in shipped.items() if tested.get(name) != version} == {}


def test_there_is_one_command() -> None:
    assert PROJECT["project"]["scripts"] == {"ringfence": "ringfence.cli:main"}


def test_every_import_is_a_declared_dependency() -> None:
    import sys

    from tests.support.repository import imported, modules

    provided = packages_distributions()
    brought = {
        "elastic-transport",
        "requests",
        "werkzeug",
        "kombu",
        "marshmallow",
        "markupsafe",
        "urllib3",
    }  # part of a dependency's API
    declared = named(PROJECT["project"]["dependencies"]) | brought
    used = {name.split(".")[0] for path in modules() for name in imported(path)}
    foreign = used - set(sys.stdlib_module_names) - set(PACKAGES)
    lacking = {
        name
        for name in foreign
        if not {item.lower().replace("_", "-") for item in provided.get(name, [name])} & declared
    }
    assert lacking == set()


def test_the_licence_is_there() -> None:
    assert "Apache License" in Path(ROOT, "LICENSE").read_text(encoding="utf-8")

"""Registers the shared fixtures; what they do is in `tests.support`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support import namespaces
from tests.support.require import require

pytest_plugins = ["tests.support.fixtures"]

MARKERS = {"root": ("namespaces",), "docker": ("docker",), "browser": ("chromium",)}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Write golden files and generated documents anew.")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Was `--update-golden` given?"""
    return bool(request.config.getoption("--update-golden"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A marker that names a prerequisite asks for it."""
    for marker in item.iter_markers():
        require(*MARKERS.get(marker.name, ()))


@pytest.fixture(scope="session", autouse=True)
def no_leftovers() -> Iterator[None]:
    """Before: what a killed run left is removed. After: this run left nothing."""
    if os.geteuid() == 0:
        namespaces.sweep()
    yield
    assert namespaces.leftovers() == ()

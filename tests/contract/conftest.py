"""Registers the fixtures that several contract suites share."""

from __future__ import annotations

from tests.support.conformance import CALICO_SELECTORS
from tests.support.flow_stores import open_store, store
from tests.support.states import open_another, state, target

__all__ = ["open_another", "open_store", "state", "store", "target"]

collect_ignore = [] if CALICO_SELECTORS.exists() else ["test_selector_conformance.py"]


def pytest_report_header() -> list[str]:
    """What is not collected is said before anything runs."""
    return [] if CALICO_SELECTORS.exists() else [f"not collected: Calico's selector cases ({CALICO_SELECTORS})"]

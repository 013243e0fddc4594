"""Registers the fixtures that several contract suites share."""

from __future__ import annotations

import pytest

from tests.support.conformance import CALICO_SELECTORS
from tests.support.flow_stores import open_store, store
from tests.support.states import open_another, state, target

__all__ = ["open_another", "open_store", "state", "store", "target"]

collect_ignore = [] if CALICO_SELECTORS.exists() else ["test_selector_conformance.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What is not collected is said, also where only the result is printed."""
    if not CALICO_SELECTORS.exists():
        terminalreporter.write_line(f"NOT COLLECTED: Calico's selector cases, as there is no {CALICO_SELECTORS}")

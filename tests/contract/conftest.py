"""Registers the fixtures that several contract suites share."""

from __future__ import annotations

from tests.support.states import open_another, state, target

__all__ = ["open_another", "state", "target"]

"""Dashboards over embedded stores: `shop` is full and shared by tests that only look, `site` is empty and one's own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.site import Site


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    now = datetime.now(UTC)  # it stands still: what the hosts last said does not grow old while tests run
    with Site(tmp_path_factory.mktemp("shop"), demo=True, clock=lambda: now) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as made:
        yield made


@pytest.fixture
def own_shop(tmp_path: Path) -> Iterator[Site]:
    """A full estate that a test may change."""
    with Site(tmp_path, demo=True) as made:
        yield made

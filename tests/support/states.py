"""The state store for contract tests: SQLite and a real PostgreSQL, opened as often as a test likes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ringfence.store.database.opening import open_state
from ringfence.store.state import State

Open = Callable[[], State]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """An empty database."""
    url: str = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    return url or tmp_path / "state.db"


@pytest.fixture
def open_another(target: str | Path) -> Iterator[Open]:
    """Opens the same database once more, as another process would."""
    opened: list[State] = []

    def another() -> State:
        opened.append(open_state(target))
        return opened[-1]

    yield another
    for state in opened:
        state.close()


@pytest.fixture
def state(open_another: Open) -> State:
    return open_another()


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run the work in threads that begin together; results in order."""
    gate = threading.Barrier(count)

    def begin(number: int) -> Any:
        gate.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))

"""The flow stores that one suite runs over: DuckDB and a real Elasticsearch."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ringfence.store.duckdb import DuckDBFlowStore
from ringfence.store.elastic import ElasticFlowStore
from ringfence.store.flows import FlowStore

Open = Callable[[], FlowStore]


BACKENDS = ["duckdb", pytest.param("elastic", marks=pytest.mark.servers)]


def opener(request: pytest.FixtureRequest, folder: Path) -> Iterator[Open]:
    """Gives a function that opens the same store again after closing it.

    Elasticsearch's core modules cannot delete a data stream, so every test has a prefix of its own.
    """
    prefix = f"contract-{uuid.uuid4().hex[:12]}"
    opened: list[FlowStore] = []
    server = request.getfixturevalue("elasticsearch") if request.param == "elastic" else None

    def close() -> None:
        while opened:
            opened.pop().close()

    def open_anew() -> FlowStore:
        close()
        if server is None:
            opened.append(DuckDBFlowStore(folder / "flows.duckdb"))
        else:
            opened.append(ElasticFlowStore(server.url, ca=str(server.ca), prefix=prefix))
        return opened[-1]

    yield open_anew
    close()


@pytest.fixture(params=BACKENDS)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the store of this test, which is empty at its beginning."""
    yield from opener(request, tmp_path)


@pytest.fixture
def store(open_store: Open) -> FlowStore:
    return open_store()

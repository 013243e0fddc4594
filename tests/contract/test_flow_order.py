"""Rows in the order of a column: DuckDB and a real Elasticsearch give the same pages."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from ringfence.errors import QueryInvalid
from ringfence.model.flow import FlowBatch
from ringfence.store.duckdb import DuckDBFlowStore
from ringfence.store.elastic import ElasticFlowStore
from ringfence.store.flows import SORTED, FlowOrder, FlowQuery, FlowStore
from tests.support.generate import START, flow_table, workloads

PAGE = 350


@pytest.fixture(scope="module")
def generated() -> pa.Table:
    return flow_table(2_000, seed=12, estate=workloads(25))


@pytest.fixture(scope="module", params=["duckdb", pytest.param("elastic", marks=pytest.mark.servers)])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, generated: pa.Table
) -> Iterator[FlowStore]:
    """A store that holds `generated`; tests only read it."""
    made: FlowStore
    if request.param == "duckdb":
        made = DuckDBFlowStore(tmp_path_factory.mktemp("order") / "flows.duckdb")
    else:
        server = request.getfixturevalue("elasticsearch")
        made = ElasticFlowStore(server.url, ca=str(server.ca), prefix=f"order-{uuid.uuid4().hex[:12]}")
    made.append(FlowBatch(id="generated", host="h1", flows=generated))
    yield made
    made.close()


def query(order: FlowOrder) -> FlowQuery:
    return FlowQuery(start=START - timedelta(days=1), end=START + timedelta(days=1), order=order)


def everything(store: FlowStore, order: FlowOrder) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = store.search(query(order), limit=PAGE, cursor=cursor)
        rows += page.rows
        cursor = page.cursor
        if cursor is None:
            return rows


def key(row: dict[str, Any], column: str) -> Any:
    if column != "bytes":
        return row[column]
    known = [row[name] for name in ("src_bytes", "dst_bytes") if row[name] is not None]
    return sum(known) if known else None


@pytest.mark.parametrize("down", [True, False], ids=["down", "up"])
@pytest.mark.parametrize("column", SORTED)
def test_pages_follow_the_order_and_what_is_not_known_comes_last(
    store: FlowStore, generated: pa.Table, column: str, down: bool
) -> None:
    rows = everything(store, FlowOrder(column, down))
    by_id = sorted(generated.to_pylist(), key=lambda row: row["flow_id"])
    known = [row for row in by_id if key(row, column) is not None]
    wanted = sorted(known, key=lambda row: key(row, column), reverse=down)
    wanted += [row for row in by_id if key(row, column) is None]
    assert [row["flow_id"] for row in rows] == [row["flow_id"] for row in wanted]


@pytest.mark.parametrize("cursor", ["", "x", "W10=", "WyJhIiwgImYxIl0=", "bnVsbA==", "\x00", "WzEsIDJd"])
def test_a_cursor_of_another_order_is_named(store: FlowStore, cursor: str) -> None:
    with pytest.raises(QueryInvalid, match="cursor"):
        store.search(query(FlowOrder("bytes")), cursor=cursor)

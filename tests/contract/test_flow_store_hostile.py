"""What no ordinary host sends and no ordinary person asks: DuckDB and a real Elasticsearch take it alike."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ringfence.errors import StoreUnavailable
from ringfence.model.gap import Gap, GapCause
from ringfence.store.duckdb import DuckDBFlowStore
from ringfence.store.elastic import ElasticFlowStore
from ringfence.store.elastic_documents import documents, mappings
from ringfence.store.flows import FlowQuery, FlowStore
from tests.support.elasticsearch import Elasticsearch
from tests.support.generate import START
from tests.support.rows import batch, flow

HOUR = timedelta(hours=1)
EVER = FlowQuery(start=START, end=START + HOUR)
LONG_AGO, FAR_OFF = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["duckdb", pytest.param("elastic", marks=pytest.mark.servers)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FlowStore]:
    made: FlowStore
    if request.param == "duckdb":
        made = DuckDBFlowStore(tmp_path / "flows.duckdb")
    else:
        server = request.getfixturevalue("elasticsearch")
        made = ElasticFlowStore(server.url, ca=str(server.ca), prefix=f"hostile-{uuid.uuid4().hex[:12]}")
    yield made
    made.close()


def groups(store: FlowStore, *by: str) -> list[dict[str, Any]]:
    found = store.summarize(EVER, by).to_pylist()
    return sorted(({name: row[name] for name in (*by, "flows", "example")} for row in found), key=first_example)


def first_example(row: dict[str, Any]) -> str:
    return str(row["example"])


def test_more_labels_than_a_term_can_hold_are_stored_and_grouped(store: FlowStore) -> None:
    many = [f"key{number}={'x' * 200}" for number in range(1_000)]
    one = [f"key={'x' * 40_000}"]
    store.append(batch("1", flow("f1", src_labels=many), flow("f2", src_labels=one), flow("f3", src_labels=many)))
    assert groups(store, "src_labels") == [
        {"src_labels": many, "flows": 2, "example": "f1"},
        {"src_labels": one, "flows": 1, "example": "f2"},
    ]


def test_label_sets_that_look_alike_are_different_groups(store: FlowStore) -> None:
    sets = [["a=1\nb=2"], ["a=1", "b=2"], [""], [], None]
    store.append(batch("1", *(flow(f"f{place}", src_labels=labels) for place, labels in enumerate(sets))))
    expected = [{"src_labels": labels, "flows": 1, "example": f"f{place}"} for place, labels in enumerate(sets)]
    assert groups(store, "src_labels") == expected


def test_labels_of_both_ends_and_another_column_are_grouped_together(store: FlowStore) -> None:
    store.append(batch("1", flow("f1", src_labels=["a=1"], dst_labels=["a=2", "b=3"], dst_port=80)))
    store.append(batch("2", flow("f2", src_labels=["a=1"], dst_labels=["a=2", "b=3"], dst_port=80), flow("f3")))
    assert groups(store, "src_labels", "dst_port", "dst_labels") == [
        {"src_labels": ["a=1"], "dst_port": 80, "dst_labels": ["a=2", "b=3"], "flows": 2, "example": "f1"},
        {"src_labels": None, "dst_port": None, "dst_labels": None, "flows": 1, "example": "f3"},
    ]


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [(LONG_AGO, FAR_OFF, 1), (LONG_AGO, LONG_AGO + HOUR, 0), (FAR_OFF, FAR_OFF + HOUR, 0)],
    ids=["all", "before", "after"],
)
def test_windows_may_reach_beyond_what_a_store_can_hold(
    store: FlowStore, start: datetime, end: datetime, found: int
) -> None:
    gap = Gap(id="g", host="h1", started=START, ended=START + HOUR, cause=GapCause.SPOOL_FULL, lost=1)
    store.append(batch("1", flow(), gaps=(gap,)))
    query = FlowQuery(start=start, end=end)
    assert store.search(query).total == found
    assert store.summarize(query, ("host",)).num_rows == found
    assert len(store.gaps(start, end)) == found


def test_times_beyond_what_a_store_can_hold_keep_no_batch_out(store: FlowStore) -> None:
    gap = Gap(id="g", host="h1", started=LONG_AGO, ended=FAR_OFF, cause=GapCause.SPOOL_FULL, lost=1)
    assert store.append(batch("1", flow(started=LONG_AGO, last_seen=FAR_OFF), gaps=(gap,)))
    assert store.search(EVER).total == 1
    assert [found.id for found in store.gaps(START, START + HOUR)] == ["g"]


ELSEWHERE = {"index.routing.allocation.require._name": "a node that is away"}


@pytest.fixture
def half(elasticsearch: Elasticsearch) -> Iterator[tuple[ElasticFlowStore, str]]:
    """A store with one final flow whose index of open flows is on no living node, and the name of that index."""
    prefix = f"half-{uuid.uuid4().hex[:12]}"
    index = f"{prefix}-flows-open"
    store = ElasticFlowStore(elasticsearch.url, ca=str(elasticsearch.ca), prefix=prefix)
    made = {"settings": {"number_of_replicas": 0, **ELSEWHERE}, "mappings": mappings()}
    assert elasticsearch.call("DELETE", f"/{index}")[0] == 200
    assert elasticsearch.call("PUT", f"/{index}?wait_for_active_shards=0", made)[0] == 200
    ((flow_id, document),) = documents(batch("1", flow("f1", end_reason="closed")).flows)
    path = f"/{prefix}-flows/_create/{flow_id}?refresh=true"
    assert elasticsearch.call("PUT", path, json.loads(document))[0] == 201
    yield store, index
    store.close()


QUESTIONS: dict[str, Callable[[FlowStore], object]] = {
    "rows": lambda store: store.search(EVER),
    "groups": lambda store: store.summarize(EVER, ("host",)),
    "histogram": lambda store: store.histogram(EVER, bucket_seconds=60),
    "one flow": lambda store: store.get("f1"),
}


@pytest.mark.servers
def test_half_of_an_answer_is_no_answer(half: tuple[ElasticFlowStore, str], elasticsearch: Elasticsearch) -> None:
    store, index = half
    for ask in QUESTIONS.values():
        with pytest.raises(StoreUnavailable):
            ask(store)
    anywhere = dict.fromkeys(ELSEWHERE)
    assert elasticsearch.call("PUT", f"/{index}/_settings", anywhere)[0] == 200
    assert elasticsearch.call("GET", f"/_cluster/health/{index}?wait_for_status=green&timeout=20s")[0] == 200
    assert store.search(EVER).total == 1
    assert store.get("f1") is not None

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ringfence.model.flow import COLUMNS, FLOW_SCHEMA
from ringfence.model.gap import Gap, GapCause
from ringfence.store.elastic_documents import (
    STARTED_US,
    documents,
    fields,
    gap_document,
    gap_of,
    mappings,
    row_of,
    table_of,
    time_text,
)
from tests.support.generate import START, flow_table


def test_a_document_is_read_back_as_the_row_it_was() -> None:
    table = flow_table(100, seed=2)
    rows = [row_of(json.loads(document)) for _, document in documents(table)]
    assert rows == table.to_pylist()
    assert table_of(rows) == table.combine_chunks()
    assert table_of([]).schema == FLOW_SCHEMA


def test_documents_have_ecs_names() -> None:
    ((flow_id, document),) = documents(flow_table(1))
    body = json.loads(document)
    assert body["flow"]["id"] == flow_id
    assert body["event"]["kind"] == "event"
    assert body["event"]["start"].endswith("+00:00")
    assert body["source"]["ip"]
    assert body["ecs"]["version"]


def test_every_column_is_mapped_and_nothing_else_is_indexed() -> None:
    assert {column.ecs for column in COLUMNS} <= fields().keys()
    assert mappings()["dynamic"] is False
    assert mappings()["properties"]["source"]["properties"]["nat"]["properties"]["ip"]["type"] == "ip"
    assert mappings()["properties"]["rule"]["properties"]["description"]["type"] == "keyword"


def test_sums_are_null_only_where_nothing_is_known() -> None:
    table = flow_table(500, seed=5)
    for row, (_, document) in zip(table.to_pylist(), documents(table), strict=True):
        known = [value for value in (row["src_bytes"], row["dst_bytes"]) if value is not None]
        assert json.loads(document)["network"].get("bytes") == (sum(known) if known else None)


def test_a_time_that_elasticsearch_cannot_hold_is_moved_to_its_edge() -> None:
    rows = flow_table(2).to_pylist()
    rows[0]["started"], rows[1]["started"] = START.replace(year=1800), START.replace(year=2900)
    found = [json.loads(document) for _, document in documents(table_of(rows))]
    assert found[0]["event"]["start"] == "1970-01-01T00:00:00.000000+00:00"
    assert found[1]["event"]["start"].startswith("2262-")
    assert found[0]["flow"][STARTED_US.rpartition(".")[2]] == 0


@pytest.mark.parametrize(
    "outside", [START.replace(year=1), START.replace(year=1969), START.replace(year=9999)], ids=str
)
def test_a_question_about_a_time_outside_is_one_about_the_edge(outside: datetime) -> None:
    edge = "1970-01-01T00:00:00.000000+00:00" if outside < START else "2262-01-01T00:00:00.000000+00:00"
    assert time_text(outside.astimezone(timezone(timedelta(hours=-5)) if outside.year > 1 else UTC)) == edge


def test_label_sets_are_told_apart_and_none_is_too_long_for_a_term() -> None:
    sets = [None, [], [""], ["a", "b"], ["b", "a"], ["a\nb"], ["a", "b", ""], ['a","b'], ["a" * 100_000]]
    rows = [row | {"src_labels": labels} for row, labels in zip(flow_table(len(sets)).to_pylist(), sets, strict=True)]
    found = [json.loads(document)["source"]["workload"].get("label_set") for _, document in documents(table_of(rows))]
    assert found[0] is None
    assert len({*found}) == len(sets)
    assert max(map(len, found[1:])) == 64


def test_a_gap_is_read_back() -> None:
    gap = Gap(id="g", host="h", started=START, ended=START + timedelta(seconds=1), cause=GapCause.SPOOL_FULL, lost=3)
    assert gap_of("g", json.loads(gap_document(gap))) == gap

"""One suite for every flow store: DuckDB and a real Elasticsearch must answer alike."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from ringfence.errors import QueryInvalid
from ringfence.model.flow import FLOW_SCHEMA, FlowBatch
from ringfence.model.gap import GapCause
from ringfence.store.filter.parser import parse_filter
from ringfence.store.filter.predicate import to_predicate
from ringfence.store.flows import FlowQuery, FlowStore
from tests.support.filters import FILTERS
from tests.support.flow_stores import BACKENDS, Open, opener
from tests.support.generate import START, flow_batch, flow_table, workloads
from tests.support.rows import batch, flow, gap

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module", params=BACKENDS)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, generated: pa.Table
) -> Iterator[FlowStore]:
    """A store that holds `generated`; tests only read it."""
    for open_filled in opener(request, tmp_path_factory.mktemp("filled")):
        store = open_filled()
        store.append(FlowBatch(id="generated", host="h1", flows=generated))
        yield store


def window(text: str = "", *, start: datetime = START, end: datetime = START + 2 * HOUR) -> FlowQuery:
    return FlowQuery(start=start, end=end, filter=parse_filter(text))


def everything(store: FlowStore, query: FlowQuery, limit: int = 500) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = store.search(query, limit=limit, cursor=cursor)
        rows += page.rows
        cursor = page.cursor
        if cursor is None:
            return rows


def test_a_row_comes_back_exactly_as_it_went_in(store: FlowStore) -> None:
    sent = flow_batch(200, seed=3)
    store.append(sent)
    found = {row["flow_id"]: row for row in everything(store, window())}
    assert found == {row["flow_id"]: row for row in sent.flows.to_pylist()}


def test_the_same_batch_is_stored_once(store: FlowStore) -> None:
    sent = flow_batch(50, id="one")
    assert store.append(sent)
    assert not store.append(sent)
    assert store.search(window()).total == 50


def test_a_batch_is_still_known_after_the_store_was_opened_anew(open_store: Open) -> None:
    sent = flow_batch(50, id="one")
    assert open_store().append(sent)
    assert not open_store().append(sent)


def test_a_later_row_replaces_the_open_one(store: FlowStore) -> None:
    store.append(batch("1", flow(src_bytes=1)))
    store.append(batch("2", flow(src_bytes=2)))
    page = store.search(window())
    assert page.total == 1
    assert page.rows[0]["src_bytes"] == 2


def test_a_flow_that_ended_is_no_longer_open(store: FlowStore) -> None:
    store.append(batch("1", flow("f1"), flow("f2"), flow("f3", host="h2")))
    store.append(batch("2", flow("f1", end_reason="closed", ended=START)))
    assert store.open_flows("h1")["flow_id"].to_pylist() == ["f2"]
    assert store.open_flows("h1").schema == FLOW_SCHEMA
    assert store.search(window()).total == 3


def test_a_final_row_stays_when_the_flow_comes_again(store: FlowStore) -> None:
    store.append(batch("1", flow(end_reason="closed", src_bytes=7)))
    store.append(batch("2", flow(src_bytes=1)))
    store.append(batch("3", flow(end_reason="lost", src_bytes=2)))
    page = store.search(window())
    assert page.total == 1
    assert (page.rows[0]["end_reason"], page.rows[0]["src_bytes"]) == ("closed", 7)
    assert store.open_flows("h1").num_rows == 0


def test_of_a_flow_that_is_twice_in_a_batch_the_last_row_counts(store: FlowStore) -> None:
    store.append(batch("1", flow(src_bytes=1), flow(src_bytes=2)))
    assert [row["src_bytes"] for row in store.search(window()).rows] == [2]


def test_an_empty_batch_is_remembered(store: FlowStore) -> None:
    assert store.append(batch("1"))
    assert not store.append(batch("1"))


def test_a_batch_of_another_shape_is_refused_whole(store: FlowStore) -> None:
    good = batch("1", flow()).flows
    with pytest.raises(ValueError, match="without sentence"):
        store.append(FlowBatch(id="1", host="h1", flows=good.drop_columns(["sentence"])))
    with pytest.raises(ValueError, match="nulls in host"):
        store.append(batch("1", flow(host=None)))
    assert store.search(window()).total == 0
    assert store.append(batch("1", flow()))


def test_a_flow_is_in_the_window_in_which_it_was_active(store: FlowStore) -> None:
    begin, end = START, START + timedelta(seconds=10)
    store.append(batch("1", flow(started=begin, last_seen=end)))
    tick = timedelta(microseconds=1)
    inside = [(begin, begin + tick), (end, end + tick), (begin - HOUR, end + HOUR), (begin + tick, end - tick)]
    outside = [(begin - HOUR, begin), (end + tick, end + HOUR)]
    assert [store.search(window(start=start, end=stop)).total for start, stop in inside] == [1, 1, 1, 1]
    assert [store.search(window(start=start, end=stop)).total for start, stop in outside] == [0, 0]


def test_pages_hold_every_flow_once_newest_start_first(store: FlowStore) -> None:
    same_start = [flow(f"s{index}") for index in range(30)]
    store.append(flow_batch(200, seed=1, id="1"))
    store.append(batch("2", *same_start))
    rows = everything(store, window(), limit=7)
    assert len(rows) == 230
    keys = [(-row["started"].timestamp(), row["flow_id"]) for row in rows]
    assert keys == sorted(keys)
    assert len({row["flow_id"] for row in rows}) == 230


def test_the_last_page_has_no_cursor(store: FlowStore) -> None:
    store.append(batch("1", *(flow(f"f{index}") for index in range(4))))
    first = store.search(window(), limit=2)
    second = store.search(window(), limit=2, cursor=first.cursor)
    assert (first.total, second.total) == (4, 4)
    assert first.cursor is not None
    assert second.cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "12", "_", "1_", "9" * 40 + "_f1", "NaN_f1"])
def test_a_broken_cursor_is_named(store: FlowStore, cursor: str) -> None:
    with pytest.raises(QueryInvalid, match="cursor"):
        store.search(window(), cursor=cursor)


def test_one_flow_is_found_by_its_id(store: FlowStore) -> None:
    store.append(batch("1", flow("f1"), flow("f2", end_reason="closed")))
    for flow_id in ("f1", "f2"):
        found = store.get(flow_id)
        assert found is not None
        assert found["flow_id"] == flow_id
    assert store.get("f3") is None
    assert store.get("' OR 1=1 --") is None


@pytest.fixture(scope="module")
def generated() -> pa.Table:
    return flow_table(3_000, seed=11, estate=workloads(25))


@pytest.mark.parametrize("text", FILTERS)
def test_every_backend_selects_what_the_predicate_selects(filled: FlowStore, generated: pa.Table, text: str) -> None:
    test = to_predicate(parse_filter(text))
    expected = sorted(row["flow_id"] for row in generated.to_pylist() if test(row))
    found = everything(filled, window(text), limit=5_000)
    assert sorted(row["flow_id"] for row in found) == expected


def test_groups_have_the_figures_of_their_flows(filled: FlowStore, generated: pa.Table) -> None:
    table = filled.summarize(window("transport: tcp"), ("src_name", "dst_port"))
    assert table.schema.names == [
        "src_name", "dst_port", "flows", "denied", "staged_denied", "packets", "bytes", "first_seen", "last_seen",
        "example",
    ]  # fmt: skip
    rows = [row for row in generated.to_pylist() if row["transport"] == "tcp"]
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["src_name"], row["dst_port"]), []).append(row)
    found = {(row["src_name"], row["dst_port"]): row for row in table.to_pylist()}
    assert found.keys() == groups.keys()
    for key, members in groups.items():
        denied = [row for row in members if row["enforced"] == "denied"]
        staged = [row for row in members if row["enforced"] != "denied" and row["staged"] == "denied"]
        assert found[key] == {
            "src_name": key[0],
            "dst_port": key[1],
            "flows": len(members),
            "denied": len(denied),
            "staged_denied": len(staged),
            "packets": sum((row["src_packets"] or 0) + (row["dst_packets"] or 0) for row in members),
            "bytes": sum((row["src_bytes"] or 0) + (row["dst_bytes"] or 0) for row in members),
            "first_seen": min(row["started"] for row in members),
            "last_seen": max(row["last_seen"] for row in members),
            "example": min(row["flow_id"] for row in members),
        }


@pytest.mark.parametrize("by", ["src_labels", "dst_ip", "sentence", "dst_identity", "end_reason", "protocol"])
def test_any_kind_of_column_can_be_grouped_by(filled: FlowStore, generated: pa.Table, by: str) -> None:
    table = filled.summarize(window(), (by,))
    expected = Counter(repr(value) for value in generated[by].to_pylist())
    assert {repr(row[by]): row["flows"] for row in table.to_pylist()} == expected


def test_the_largest_groups_come_first_and_the_limit_holds(filled: FlowStore) -> None:
    table = filled.summarize(window(), ("dst_name",), limit=5)
    flows = table["flows"].to_pylist()
    assert len(flows) == 5
    assert flows == sorted(flows, reverse=True)
    assert flows[0] == max(filled.summarize(window(), ("dst_name",))["flows"].to_pylist())


@pytest.mark.parametrize("by", [(), ("nonsense",), ("src_ip; DROP TABLE gaps",), ("src_ip", "src_ip"), ("started",)])
def test_what_cannot_be_grouped_by_is_named(store: FlowStore, by: tuple[str, ...]) -> None:
    with pytest.raises(QueryInvalid, match="group by"):
        store.summarize(window(), by)


def test_figures_that_nobody_knows_count_as_nothing(store: FlowStore) -> None:
    store.append(batch("1", flow("f1"), flow("f2", src_bytes=5), flow("f3", src_bytes=5, dst_bytes=6)))
    assert store.summarize(window(), ("host",)).to_pylist()[0]["bytes"] == 16


def test_a_histogram_counts_every_flow_once(filled: FlowStore, generated: pa.Table) -> None:
    table = filled.histogram(window(), bucket_seconds=300)
    assert table.schema.names == ["bucket", "allowed", "denied", "staged_denied", "unknown"]
    counts = {name: sum(table[name].to_pylist()) for name in table.schema.names[1:]}
    rows = generated.to_pylist()
    denied = sum(row["enforced"] == "denied" for row in rows)
    staged = sum(row["enforced"] != "denied" and row["staged"] == "denied" for row in rows)
    unknown = sum(row["enforced"] is None for row in rows)
    assert counts == {
        "allowed": len(rows) - denied - staged - unknown,
        "denied": denied,
        "staged_denied": staged,
        "unknown": unknown,
    }


def test_a_flow_that_began_before_the_window_is_in_the_first_bucket(store: FlowStore) -> None:
    begin = START + timedelta(seconds=90)
    store.append(
        batch(
            "1",
            flow("early", started=START, last_seen=begin + HOUR, enforced="allowed"),
            flow("first", started=begin - timedelta(seconds=20), last_seen=begin + HOUR, enforced="denied"),
            flow("later", started=begin + timedelta(seconds=60), last_seen=begin + HOUR, staged="denied"),
        )
    )
    table = store.histogram(window(start=begin, end=begin + timedelta(minutes=3)), bucket_seconds=60)
    assert table.to_pylist()[:3] == [
        {"bucket": START + timedelta(seconds=60), "allowed": 1, "denied": 1, "staged_denied": 0, "unknown": 0},
        {"bucket": START + timedelta(seconds=120), "allowed": 0, "denied": 0, "staged_denied": 1, "unknown": 0},
        {"bucket": START + timedelta(seconds=180), "allowed": 0, "denied": 0, "staged_denied": 0, "unknown": 0},
    ]
    assert table.num_rows == 4


@pytest.mark.parametrize("outside", [HOUR, -HOUR], ids=["after", "before"])
def test_a_histogram_of_one_bucket_among_flows_of_other_times(store: FlowStore, outside: timedelta) -> None:
    for number in range(4):
        at = START + timedelta(seconds=number)
        store.append(batch(f"in {number}", flow(f"in{number}", started=at, last_seen=at, enforced="denied")))
        store.append(batch(f"out {number}", flow(f"out{number}", started=at + outside, last_seen=at + outside)))
    seen = window(start=START - timedelta(minutes=30), end=START + timedelta(minutes=30))
    counted = store.histogram(seen, bucket_seconds=300).to_pylist()
    assert [(row["bucket"], row["denied"]) for row in counted if row["denied"]] == [(START, 4)]
    assert sum(row["unknown"] for row in counted) == 0


def test_an_impossible_bucket_is_refused(store: FlowStore) -> None:
    with pytest.raises(QueryInvalid, match="one second"):
        store.histogram(window(), bucket_seconds=0)
    with pytest.raises(QueryInvalid, match="too many"):
        store.histogram(window(end=START + timedelta(days=365)), bucket_seconds=1)


def test_a_window_that_ends_before_it_begins_is_empty(filled: FlowStore) -> None:
    backwards = window(start=START + HOUR, end=START)
    assert filled.search(backwards).rows == ()
    assert filled.histogram(backwards, bucket_seconds=60).num_rows == 0


def test_retention_deletes_old_final_flows_only(store: FlowStore) -> None:
    late = START + HOUR
    store.append(
        batch(
            "1",
            flow("old", end_reason="closed"),
            flow("old-open"),
            flow("new", end_reason="closed", last_seen=late),
            gaps=(gap("g", 0, 10),),
        )
    )
    assert store.prune(late) == 1
    assert {row["flow_id"] for row in everything(store, window())} == {"old-open", "new"}
    assert store.gaps(START, late) == ()
    assert store.prune(late) == 0


def test_retention_leaves_what_was_imported_however_old(store: FlowStore) -> None:
    incomplete = replace(gap("g2", 0, 10), cause=GapCause.IMPORT)
    capture = batch("1", flow("imported", end_reason="imported"), gaps=(incomplete,))
    store.append(capture)
    store.append(batch("2", flow("old", end_reason="closed"), gaps=(gap("g", 0, 10),)))
    assert store.prune(START + HOUR) == 1
    assert [row["flow_id"] for row in everything(store, window())] == ["imported"]
    assert store.gaps(START, START + HOUR) == (incomplete,)
    assert not store.append(capture)


def test_threads_append_and_read_together(store: FlowStore) -> None:
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(3):
                store.append(flow_batch(100, id=f"{number}-{turn}", seed=number * 10 + turn))
                assert store.search(window()).total >= 100
        except Exception as error:  # noqa: BLE001 -- shown by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert store.search(window()).total == 1_200


def test_a_flow_of_another_zone_is_the_same_moment(store: FlowStore) -> None:
    store.append(batch("1", flow()))
    found = store.get("f1")
    assert found is not None
    assert found["started"] == START
    assert found["started"].utcoffset() == timedelta(0)
    assert found["started"].astimezone(UTC) == START

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.errors import QueryInvalid
from ringfence.model.flow import FLOW_SCHEMA
from ringfence.store.rows import (
    COUNTS,
    MAX_BUCKETS,
    bucket_starts,
    conform,
    decode_cursor,
    decode_key,
    encode_cursor,
    encode_key,
    final_rows,
    grouping,
    histogram_table,
    summary_schema,
)
from tests.support.generate import START, flow_table


def test_columns_in_another_order_and_dictionaries_are_made_plain() -> None:
    table = flow_table(20)
    mixed = table.select(table.column_names[::-1])
    index = mixed.column_names.index("host")
    mixed = mixed.set_column(index, "host", mixed["host"].dictionary_encode())
    assert conform(mixed) == table


def test_the_last_row_of_a_flow_counts_and_the_order_stays() -> None:
    table = flow_table(6)
    again = pa.concat_tables([table, table.slice(1, 1)])
    assert conform(again)["flow_id"].to_pylist() == table.take([0, 2, 3, 4, 5, 1])["flow_id"].to_pylist()


def test_a_value_of_another_type_is_refused() -> None:
    table = flow_table(2)
    index = table.column_names.index("src_port")
    broken = table.set_column(index, "src_port", pa.array(["http", "x"]))
    with pytest.raises(ValueError, match="another shape"):
        conform(broken)


def test_rows_are_final_once_they_have_an_end_reason() -> None:
    opened, final = final_rows(flow_table(100))
    assert opened["end_reason"].null_count == opened.num_rows > 0
    assert final["end_reason"].null_count == 0
    assert opened.num_rows + final.num_rows == 100


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), st.text(min_size=1))
def test_a_cursor_is_read_back(started: datetime, flow_id: str) -> None:
    started = started.replace(tzinfo=START.tzinfo)
    micros, found = decode_cursor(encode_cursor(started, flow_id))
    assert (START + timedelta(microseconds=micros - int(START.timestamp() * 1e6)), found) == (started, flow_id)


@given(st.text())
def test_any_text_is_a_cursor_or_is_refused(text: str) -> None:
    try:
        micros, flow_id = decode_cursor(text)
    except QueryInvalid:
        return
    assert flow_id
    assert abs(micros) < 2**63


@pytest.mark.parametrize("value", [None, -(2**63), 7, "web"])
def test_a_key_is_read_back(value: int | str | None) -> None:
    kind = str if isinstance(value, str) else int
    assert decode_key(encode_key(value, "f1"), kind) == (value, "f1")


@given(st.text())
def test_any_text_is_a_key_or_is_refused(text: str) -> None:
    with pytest.raises(QueryInvalid, match="cursor"):
        decode_key(text, int)


@pytest.mark.parametrize(
    ("value", "flow_id"),
    [
        *((value, "f") for value in (2**63, -(2**63) - 1, 10**4000, True, 1.5, "\ud800")),
        *(("a", flow_id) for flow_id in ("\udfff", 5)),
    ],
    ids=lambda item: str(item)[:20].encode("ascii", "backslashreplace").decode(),
)
def test_a_key_that_no_store_could_be_asked_for_is_refused(value: object, flow_id: object) -> None:
    cursor = encode_key(value, flow_id)  # type: ignore[arg-type]
    with pytest.raises(QueryInvalid, match="cursor"):
        decode_key(cursor, str if isinstance(value, str) else int)


def test_groups_are_by_known_columns() -> None:
    assert grouping(("src_ip", "rule")) == ("src_ip", "rule")
    with pytest.raises(QueryInvalid, match="nonsense"):
        grouping(("src_ip", "nonsense"))
    assert summary_schema(("src_port",)).field("src_port").type == FLOW_SCHEMA.field("src_port").type


def test_buckets_cover_the_window_and_are_aligned() -> None:
    starts = bucket_starts(START + timedelta(seconds=90), START + timedelta(seconds=180), 60)
    assert starts == [START + timedelta(seconds=60), START + timedelta(seconds=120)]
    assert bucket_starts(START, START, 60) == []
    assert len(bucket_starts(START, START + timedelta(seconds=MAX_BUCKETS), 1)) == MAX_BUCKETS
    with pytest.raises(QueryInvalid):
        bucket_starts(START, START + timedelta(seconds=MAX_BUCKETS + 1), 1)


def test_a_bucket_without_flows_has_zeros() -> None:
    table = histogram_table([START], {})
    assert table.to_pylist() == [{"bucket": START, **dict.fromkeys(COUNTS, 0)}]

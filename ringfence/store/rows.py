"""Flow rows on their way in and out: checked against the schema, made plain."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ringfence.errors import QueryInvalid
from ringfence.model.flow import BY_NAME, FLOW_SCHEMA, ColumnType

MAX_BUCKETS = 20_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WRONG_CURSOR = "the page cursor is not valid"


def conform(flows: pa.Table) -> pa.Table:
    """The rows in the order and types of `FLOW_SCHEMA`, each flow once (the last of a repetition counts).

    Raises:
        ValueError: a column is missing, has another type, or is null where the schema forbids it.
    """
    missing = [name for name in FLOW_SCHEMA.names if name not in flows.column_names]
    if missing:
        raise ValueError(f"flow batch without {', '.join(missing)}")
    empty = [item.name for item in FLOW_SCHEMA if not item.nullable and flows[item.name].null_count]
    if empty:
        raise ValueError(f"flow batch with nulls in {', '.join(empty)}")
    try:
        table = flows.select(FLOW_SCHEMA.names).cast(FLOW_SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"flow batch of another shape: {error}") from error
    return _last_of_each(table)


def _last_of_each(table: pa.Table) -> pa.Table:
    ids = table["flow_id"].combine_chunks()
    encoded = ids.dictionary_encode()
    if len(encoded.dictionary) == len(ids):
        return table
    last = np.zeros(len(encoded.dictionary), dtype=np.int64)
    last[np.asarray(encoded.indices)] = np.arange(len(ids))
    return table.take(pa.array(np.sort(last)))


def final_rows(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The open rows and the final ones."""
    ended = pc.is_valid(table["end_reason"])
    return table.filter(pc.invert(ended)), table.filter(ended)


def grouping(by: tuple[str, ...]) -> tuple[str, ...]:
    """Column names to group by, checked.

    Raises:
        QueryInvalid: none, an unknown one, one twice, or a time.
    """
    unfit = [name for name in by if name not in BY_NAME or BY_NAME[name].type is ColumnType.TIME]
    if unfit:
        raise QueryInvalid(f"cannot group by {', '.join(unfit)}")
    if not by or len(set(by)) != len(by):
        raise QueryInvalid("group by one column or more, each once")
    return by


SUMMARY_FIELDS = (
    pa.field("flows", pa.int64()),
    pa.field("denied", pa.int64()),
    pa.field("staged_denied", pa.int64()),
    pa.field("packets", pa.int64()),
    pa.field("bytes", pa.int64()),
    pa.field("first_seen", pa.timestamp("us", tz="UTC")),
    pa.field("last_seen", pa.timestamp("us", tz="UTC")),
    pa.field("example", pa.string()),
)


def summary_schema(by: tuple[str, ...]) -> pa.Schema:
    """The shape of what `FlowReader.summarize` returns."""
    return pa.schema([FLOW_SCHEMA.field(name).with_nullable(True) for name in by] + list(SUMMARY_FIELDS))


COUNTS = ("allowed", "denied", "staged_denied", "unknown")
"""The classes of a histogram. Each flow is in exactly one, so their sum is the number of flows."""


def bucket_starts(start: datetime, end: datetime, seconds: int) -> list[datetime]:
    """Starts of all buckets that touch [start, end), in UTC, aligned to the epoch.

    Raises:
        QueryInvalid: a bucket is shorter than a second, or there would be more than MAX_BUCKETS.
    """
    if seconds < 1:
        raise QueryInvalid("a bucket is at least one second long")
    first = int((start - EPOCH).total_seconds() // seconds)
    count = max(0, -int(-((end - EPOCH).total_seconds()) // seconds) - first)
    if count > MAX_BUCKETS:
        raise QueryInvalid(f"{count} buckets are too many: at most {MAX_BUCKETS}", hint="choose longer buckets")
    return [EPOCH + timedelta(seconds=(first + index) * seconds) for index in range(count)]


def histogram_table(starts: list[datetime], counts: dict[datetime, dict[str, int]]) -> pa.Table:
    """The shape of what `FlowReader.histogram` returns, with zeros where nothing was."""
    columns: dict[str, Any] = {"bucket": pa.array(starts, pa.timestamp("us", tz="UTC"))}
    for name in COUNTS:
        columns[name] = pa.array([counts.get(start, {}).get(name, 0) for start in starts], pa.int64())
    return pa.table(columns)


def encode_cursor(started: datetime, flow_id: str) -> str:
    """Where a page ended: its last row's start in microseconds and its id."""
    return f"{(started - EPOCH) // timedelta(microseconds=1)}_{flow_id}"


def encode_key(value: int | str | None, flow_id: str) -> str:
    """Where a page in another order than the newest first ended: what its last row is ordered by, and its id."""
    return base64.urlsafe_b64encode(json.dumps([value, flow_id]).encode()).decode()


def decode_key(cursor: str, kind: type[int] | type[str]) -> tuple[int | str | None, str]:
    """Value of that kind, or None, and flow id.

    Raises:
        QueryInvalid: not a cursor of this order.
    """
    try:
        value, flow_id = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
    except (ValueError, TypeError, RecursionError):
        value, flow_id = None, None
    if not (type(value) in (kind, type(None)) and isinstance(flow_id, str) and _storable(value) and _storable(flow_id)):
        raise QueryInvalid(WRONG_CURSOR, hint="start again from the first page")
    return value, flow_id


def _storable(value: int | str | None) -> bool:
    """Whether every store can be asked for it: numbers of 64 bits, and text without half characters."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or not any("\ud800" <= character <= "\udfff" for character in value)


def decode_cursor(cursor: str) -> tuple[int, str]:
    """Microseconds since the epoch and flow id.

    Raises:
        QueryInvalid: not a cursor of ours.
    """
    micros, separator, flow_id = cursor.partition("_")
    try:
        if not separator or not flow_id:
            raise ValueError
        EPOCH + timedelta(microseconds=int(micros))  # within the years that a time can have
        return int(micros), flow_id
    except (ValueError, OverflowError):
        raise QueryInvalid(WRONG_CURSOR, hint="start again from the first page") from None

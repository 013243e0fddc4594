"""Elasticsearch's documents and mappings, generated from the flow schema: ECS names, nested objects.

Besides the schema's fields a document has some that Elasticsearch cannot compute by itself: sums of both ways, times
in whole microseconds (aggregations know milliseconds only) and digests of label sets to group by.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ringfence.model.flow import BY_NAME, COLUMNS, FLOW_SCHEMA, Column, ColumnType
from ringfence.model.gap import Gap, GapCause
from ringfence.store.filter.fields import TOTALS
from ringfence.store.rows import EPOCH

ECS_VERSION = "9.4.0"
TYPES: dict[ColumnType, dict[str, Any]] = {
    ColumnType.KEYWORD: {"type": "keyword", "ignore_above": 8191},
    ColumnType.TEXT: {"type": "keyword", "ignore_above": 8191},
    ColumnType.LABELS: {"type": "keyword", "ignore_above": 8191},
    ColumnType.ADDRESS: {"type": "ip", "ignore_malformed": True},
    ColumnType.PORT: {"type": "integer"},
    ColumnType.SMALL: {"type": "short"},
    ColumnType.LONG: {"type": "long"},
    ColumnType.TIME: {"type": "date_nanos"},
}
"""TEXT is a keyword as well: sentences are grouped and matched whole or by wildcard, as in DuckDB."""

STARTED_US, LAST_SEEN_US = "flow.started_us", "flow.last_seen_us"
LARGEST = 2**63 - 1
EARLIEST_US, LATEST_US = 0, 9_214_646_400_000_000
"""What a `date_nanos` can hold: 1970 to 2261."""
EARLIEST, LATEST = (EPOCH + timedelta(microseconds=edge) for edge in (EARLIEST_US, LATEST_US))

_CONSTANT = {"ecs.version": ECS_VERSION, "event.kind": "event", "event.category": ["network"]}


def label_set_field(column: Column) -> str:
    """The field that tells the label sets of an end apart."""
    return f"{column.ecs.removesuffix('labels')}label_set"


def fields() -> dict[str, dict[str, Any]]:
    """Every mapped field by its dotted name."""
    mapped = {column.ecs: TYPES[column.type] for column in COLUMNS}
    mapped |= {label_set_field(column): {"type": "keyword"} for column in COLUMNS if column.type is ColumnType.LABELS}
    mapped |= {total.ecs: {"type": "long"} for total in TOTALS}
    mapped |= {name: {"type": "long"} for name in (STARTED_US, LAST_SEEN_US)}
    return mapped | {name: {"type": "keyword"} for name in _CONSTANT}


def mappings() -> dict[str, Any]:
    """The mapping of flow documents; a field that is not in it is kept and not searchable."""
    return {"dynamic": False, "properties": _properties(_nest(fields()))}


GAP_MAPPINGS: dict[str, Any] = {
    "dynamic": False,
    "properties": {
        "id": {"type": "keyword"},
        "host": {"type": "keyword"},
        "started": {"type": "date_nanos"},
        "ended": {"type": "date_nanos"},
        "cause": {"type": "keyword"},
        "lost": {"type": "long"},
        "detail": {"type": "keyword", "index": False, "doc_values": False},
    },
}
BATCH_MAPPINGS: dict[str, Any] = {
    "dynamic": False,
    "properties": {"host": {"type": "keyword"}, "stored": {"type": "date_nanos"}},
}


def documents(flows: pa.Table) -> Iterator[tuple[str, bytes]]:
    """Pairs of flow id and JSON document."""
    columns: dict[str, list[Any]] = {}
    for column in COLUMNS:
        values = flows[column.name]
        if column.type is ColumnType.TIME:
            micros = pc.min_element_wise(
                pc.max_element_wise(values.cast(pa.int64()), EARLIEST_US, skip_nulls=False), LATEST_US, skip_nulls=False
            )
            columns[column.ecs] = micros.cast(pa.timestamp("us", tz="UTC")).to_pylist()
            if column.name in ("started", "last_seen"):
                columns[STARTED_US if column.name == "started" else LAST_SEEN_US] = micros.to_pylist()
        else:
            columns[column.ecs] = values.to_pylist()
        if column.type is ColumnType.LABELS:
            columns[label_set_field(column)] = [_label_set(labels) for labels in columns[column.ecs]]
    for total in TOTALS:
        one, other = (columns[BY_NAME[name].ecs] for name in total.columns)
        columns[total.ecs] = [_sum(*pair) for pair in zip(one, other, strict=True)]
    names = list(columns)
    for values in zip(*columns.values(), strict=True):
        flat = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        yield flat["flow.id"], json.dumps(_nest(flat | _CONSTANT), default=time_text, separators=(",", ":")).encode()


def row_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """A document as a row by column name, with the types of `FLOW_SCHEMA`."""
    row = {column.name: _find(source, column.ecs) for column in COLUMNS}
    for column in COLUMNS:
        if column.type is ColumnType.TIME and row[column.name] is not None:
            row[column.name] = datetime.fromisoformat(row[column.name])
    return row


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, FLOW_SCHEMA)


def gap_document(gap: Gap) -> bytes:
    body = {name: getattr(gap, name) for name in ("id", "host", "started", "ended", "lost", "detail")}
    return json.dumps(body | {"cause": gap.cause.value}, default=time_text).encode()


def gap_of(gap_id: str, source: Mapping[str, Any]) -> Gap:
    return Gap(
        id=gap_id,
        host=source["host"],
        started=datetime.fromisoformat(source["started"]),
        ended=datetime.fromisoformat(source["ended"]),
        cause=GapCause(source["cause"]),
        lost=source.get("lost"),
        detail=source["detail"],
    )


def time_text(at: datetime) -> str:
    """A time as Elasticsearch reads it; one that it cannot hold is moved to the edge."""
    at = max(EARLIEST, min(at, LATEST))
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _label_set(labels: list[str] | None) -> str | None:
    """As JSON, in which no two sets look alike; hashed, for the text of a long one is refused as a term."""
    return None if labels is None else hashlib.sha256(json.dumps(labels).encode()).hexdigest()


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else min((one or 0) + (other or 0), LARGEST)


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *path, leaf = name.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
        place[leaf] = value
    return nested


def _properties(nested: dict[str, Any]) -> dict[str, Any]:
    return {
        name: item if isinstance(item.get("type"), str) else {"properties": _properties(item)}
        for name, item in nested.items()
    }


def _find(source: Mapping[str, Any], path: str) -> Any:
    value: Any = source
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value

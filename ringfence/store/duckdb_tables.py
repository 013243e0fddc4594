"""DuckDB's tables, generated from the flow schema, and the rows in the shape they hold.

Times are UTC without a zone. Every address has two hidden columns with its 128-bit key, which make network filters
integer comparisons.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import duckdb
import pyarrow as pa

from ringfence.model.flow import COLUMNS, FLOW_SCHEMA, ColumnType
from ringfence.model.gap import Gap
from ringfence.store.addresses import key_columns
from ringfence.store.filter.sql import HIGH, LOW, plain

TYPES: dict[ColumnType, str] = {
    ColumnType.KEYWORD: "VARCHAR",
    ColumnType.TEXT: "VARCHAR",
    ColumnType.LABELS: "VARCHAR[]",
    ColumnType.ADDRESS: "VARCHAR",
    ColumnType.PORT: "USMALLINT",
    ColumnType.SMALL: "UTINYINT",
    ColumnType.LONG: "BIGINT",
    ColumnType.TIME: "TIMESTAMP",
}

ADDRESSES = tuple(column.name for column in COLUMNS if column.type is ColumnType.ADDRESS)
STORED: dict[str, str] = {column.name: TYPES[column.type] for column in COLUMNS} | {
    name + half: "UBIGINT" for name in ADDRESSES for half in (HIGH, LOW)
}
"""Every column of the two flow tables, hidden ones included, with its type."""

FLOW_TABLES = ("flows_open", "flows_final")
FLOWS = "(SELECT * FROM flows_open UNION ALL BY NAME SELECT * FROM flows_final)"
COLUMN_LIST = ", ".join(f'"{name}"' for name in FLOW_SCHEMA.names)

_NAIVE = pa.schema(
    [
        item.with_type(pa.timestamp("us")) if pa.types.is_timestamp(item.type) else item.with_nullable(True)
        for item in FLOW_SCHEMA
    ]
)

_GAPS = pa.schema(
    {
        "id": pa.string(),
        "host": pa.string(),
        "started": pa.timestamp("us"),
        "ended": pa.timestamp("us"),
        "cause": pa.string(),
        "lost": pa.int64(),
        "detail": pa.string(),
    }
)


def create_tables(run: Callable[[str], object], existing: Callable[[str], list[str]]) -> None:
    """Create what is missing, and add columns that a later version of the schema brought."""
    columns = ", ".join(f'"{name}" {type_}' for name, type_ in STORED.items())
    for table in FLOW_TABLES:
        run(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        present = existing(table)
        for name, type_ in STORED.items():
            if name not in present:
                run(f'ALTER TABLE {table} ADD COLUMN "{name}" {type_}')
    run("CREATE TABLE IF NOT EXISTS batches (id VARCHAR PRIMARY KEY, host VARCHAR, stored TIMESTAMP)")
    run(
        "CREATE TABLE IF NOT EXISTS gaps (id VARCHAR PRIMARY KEY, host VARCHAR, started TIMESTAMP, ended TIMESTAMP,"
        " cause VARCHAR, lost BIGINT, detail VARCHAR)"
    )


def to_stored(flows: pa.Table) -> pa.Table:
    """Rows of `FLOW_SCHEMA` as the tables hold them."""
    table = flows.cast(_NAIVE)
    for name in ADDRESSES:
        high, low = key_columns(flows[name])
        table = table.append_column(name + HIGH, high).append_column(name + LOW, low)
    return table


def from_stored(table: pa.Table) -> pa.Table:
    """Rows of `FLOW_SCHEMA` again."""
    return table.select(FLOW_SCHEMA.names).cast(FLOW_SCHEMA)


def gap_rows(gaps: Iterable[Gap]) -> pa.Table:
    """Gaps as their table holds them; of one that comes twice, the last."""
    rows = {
        gap.id: dataclasses.asdict(gap) | {"started": plain(gap.started), "ended": plain(gap.ended)} for gap in gaps
    }
    return pa.Table.from_pylist(list(rows.values()), _GAPS)


UNAVAILABLE = (
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.ConnectionException,
    duckdb.TransactionException,
)
"""What the engine raises when the disk, the memory or the file fails it."""

SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "preserve_insertion_order": "false",
    "python_enable_replacements": "false",  # a name in a statement is a table, never a variable of the caller
}

from __future__ import annotations

import duckdb

from ringfence.model.flow import FLOW_SCHEMA
from ringfence.store.duckdb_tables import FLOW_TABLES, STORED, create_tables, from_stored, to_stored
from tests.support.generate import flow_table


def test_rows_survive_the_way_into_the_tables_shape_and_back() -> None:
    table = flow_table(100)
    assert from_stored(to_stored(table)) == table
    assert to_stored(table).column_names == list(STORED)


def test_every_column_of_the_schema_is_stored() -> None:
    assert set(FLOW_SCHEMA.names) <= set(STORED)


def test_creating_tables_twice_changes_nothing() -> None:
    with duckdb.connect() as connection:

        def columns(table: str) -> list[str]:
            return [row[0] for row in connection.sql(f"DESCRIBE {table}").fetchall()]

        for _ in range(2):
            create_tables(lambda text: connection.execute(text).fetchall(), columns)
        assert all(columns(table) == list(STORED) for table in FLOW_TABLES)

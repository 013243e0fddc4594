from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa

from ringfence.model.flow import (
    ARROW_TYPES,
    BY_NAME,
    COLUMNS,
    FLOW_SCHEMA,
    PROTOCOL_NAMES,
    PROTOCOL_NUMBERS,
    field_names,
)
from tests.support.repository import compare


def test_the_arrow_schema_follows_the_columns() -> None:
    assert FLOW_SCHEMA.names == [column.name for column in COLUMNS]
    for column, item in zip(COLUMNS, FLOW_SCHEMA, strict=True):
        assert item.type == ARROW_TYPES[column.type]
        assert item.nullable == column.nullable


def test_no_two_columns_share_a_name() -> None:
    for names in ([c.name for c in COLUMNS], [c.ecs for c in COLUMNS]):
        assert [name for name, count in Counter(names).items() if count > 1] == []


def test_no_name_means_two_columns() -> None:
    meanings: dict[str, set[str]] = {}
    for column in COLUMNS:
        for name in (column.name, column.ecs.lower(), *column.aliases):
            meanings.setdefault(name, set()).add(column.name)
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}
    assert field_names().keys() == meanings.keys()


def test_no_ecs_name_is_both_a_value_and_an_object() -> None:
    names = {column.ecs for column in COLUMNS}
    parents = {name.rsplit(".", depth)[0] for name in names for depth in range(1, name.count(".") + 1)}
    assert names & parents == set()


def test_both_ends_have_the_same_columns() -> None:
    sources = [name for name in BY_NAME if name.startswith(("src_", "nat_src_"))]
    assert all(name.replace("src_", "dst_") in BY_NAME for name in sources)
    assert len(sources) == sum("dst_" in name for name in BY_NAME)


def test_every_column_says_what_it_holds() -> None:
    assert all(len(column.doc) > 5 for column in COLUMNS)


def test_times_are_in_utc_with_microseconds() -> None:
    assert FLOW_SCHEMA.field("started").type == pa.timestamp("us", tz="UTC")


def test_protocols_have_one_number_each() -> None:
    assert all(PROTOCOL_NUMBERS[name] == number for number, name in PROTOCOL_NAMES.items())
    assert PROTOCOL_NUMBERS["icmpv6"] == 58


def test_the_document_has_the_table_of_columns(update_golden: bool) -> None:
    lines = ["| column | ECS name | other names | type | null | what it holds |", "|---|---|---|---|---|---|"]
    for column in COLUMNS:
        names = ", ".join(f"`{alias}`" for alias in column.aliases if alias != column.name)
        null = "yes" if column.nullable else "no"
        doc = column.doc.replace("|", "\\|")
        lines.append(f"| `{column.name}` | `{column.ecs}` | {names} | {column.type.value} | {null} | {doc} |")
    compare(Path("docs/flow-schema.md"), "columns", "\n".join(lines), update=update_golden)

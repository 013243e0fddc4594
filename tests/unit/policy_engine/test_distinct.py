from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.distinct import distinct

rows = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.one_of(st.none(), st.sampled_from("xyz")),
            "b": st.one_of(st.none(), st.integers(0, 3)),
            "c": st.one_of(st.none(), st.lists(st.sampled_from(["k=1", "k=2"]), max_size=2)),
        }
    ),
    max_size=30,
)
SCHEMA = pa.schema([("a", pa.string()), ("b", pa.uint8()), ("c", pa.list_(pa.string()))])


@given(rows)
def test_rows_share_a_combination_exactly_when_they_are_equal(items: list[dict[str, object]]) -> None:
    table = pa.Table.from_pylist(items, schema=SCHEMA)
    first, inverse = distinct(table, ("a", "b", "c"))
    assert len(inverse) == len(items)
    for index, item in enumerate(items):
        assert items[first[inverse[index]]] == item
    assert len({repr(sorted(item.items())) for item in items}) == len(first)


def test_chunks_and_many_wide_columns_are_no_trouble() -> None:
    chunk = pa.table({f"c{n}": [f"{n}-{i}" for i in range(500)] for n in range(12)})
    table = pa.concat_tables([chunk, chunk])
    first, inverse = distinct(table, table.column_names)
    assert len(first) == 500
    assert (inverse[:500] == inverse[500:]).all()


def test_a_column_without_values_says_nothing() -> None:
    table = pa.table({"a": pa.nulls(3), "b": [1, 1, 2]})
    assert len(distinct(table, ("a", "b"))[0]) == 2

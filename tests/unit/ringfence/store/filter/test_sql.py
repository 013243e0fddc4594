from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.model.filter import Comparison, Term
from ringfence.store.filter.parser import parse_filter
from ringfence.store.filter.sql import to_sql
from tests.support.filters import FILTERS


@pytest.mark.parametrize("text", FILTERS)
def test_there_is_one_parameter_for_each_mark(text: str) -> None:
    sql, values = to_sql(parse_filter(text))
    assert sql.count("?") == len(values)


@given(st.text(min_size=1))
def test_no_value_enters_the_text(value: str) -> None:
    def sql(text: str) -> str:
        return to_sql(Term(field="host", comparison=Comparison.EQUALS, value=text, offset=0))[0]

    assert sql(value) in {sql("x"), sql("x*"), sql("*")}


def test_no_filter_selects_everything() -> None:
    assert to_sql(None) == ("true", [])


def test_a_term_is_never_null() -> None:
    assert to_sql(parse_filter("dport: 80"))[0].startswith("coalesce(")

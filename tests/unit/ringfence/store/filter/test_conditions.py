from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network

import pytest

from ringfence.errors import FilterInvalid
from ringfence.model.filter import Comparison, Term
from ringfence.store.filter.conditions import Between, Matches, Present, Within, resolve
from tests.support.generate import START

TICK = timedelta(microseconds=1)


def term(field: str, value: str, comparison: Comparison = Comparison.EQUALS) -> Term:
    return Term(field=field, comparison=comparison, value=value, offset=3)


@pytest.mark.parametrize(
    ("comparison", "value", "low", "high"),
    [
        (Comparison.EQUALS, "80", 80, 80),
        (Comparison.EQUALS, "80-90", 80, 90),
        (Comparison.ABOVE, "80", 81, None),
        (Comparison.BELOW, "80", None, 79),
        (Comparison.AT_LEAST, "80", 80, None),
        (Comparison.AT_MOST, "80", None, 80),
    ],
)
def test_comparisons_of_numbers_are_closed_intervals(
    comparison: Comparison, value: str, low: int | None, high: int | None
) -> None:
    (condition,) = resolve(term("dport", value, comparison))
    assert isinstance(condition, Between)
    assert (condition.low, condition.high) == (low, high)


@pytest.mark.parametrize(
    ("comparison", "low", "high"),
    [
        (Comparison.EQUALS, START, START + timedelta(days=1) - TICK),
        (Comparison.ABOVE, START + timedelta(days=1), None),
        (Comparison.BELOW, None, START - TICK),
        (Comparison.AT_LEAST, START, None),
        (Comparison.AT_MOST, None, START + timedelta(days=1) - TICK),
    ],
)
def test_a_day_is_compared_as_a_whole(comparison: Comparison, low: object, high: object) -> None:
    (condition,) = resolve(term("started", "2026-01-01", comparison))
    assert isinstance(condition, Between)
    assert (condition.low, condition.high) == (low, high)


def test_values_mean_what_their_column_is() -> None:
    assert [type(item) for item in resolve(term("ip", "10.1.*"))] == [Within] * 4
    assert {item.network for item in resolve(term("ip", "10.1.*")) if isinstance(item, Within)} == {
        ip_network("10.1.0.0/16")
    }
    assert [item.pattern for item in resolve(term("label.a*b", "c*")) if isinstance(item, Matches)] == [
        "a\\*b=c*",
        "a\\*b=c*",
    ]
    assert [type(item) for item in resolve(term("src", "*", Comparison.EXISTS))] == [Present]
    (verdict,) = resolve(term("verdict", "DENIED"))
    assert isinstance(verdict, Matches)
    assert verdict.pattern == "denied"


@pytest.mark.parametrize(
    ("field", "value", "comparison"),
    [
        ("port", "http", Comparison.EQUALS),
        ("port", "-1", Comparison.EQUALS),
        ("port", "65536", Comparison.EQUALS),
        ("port", "9-8", Comparison.EQUALS),
        ("port", "1-2", Comparison.ABOVE),
        ("port", "8*", Comparison.EQUALS),
        ("port", "٨٠", Comparison.EQUALS),
        ("bytes", "9" * 30, Comparison.EQUALS),
        ("src", "10.0.0.0/33", Comparison.EQUALS),
        ("src", "web", Comparison.EQUALS),
        ("src", "10.*.1.1", Comparison.EQUALS),
        ("src", "10.0.0.1", Comparison.ABOVE),
        ("host", "h1", Comparison.ABOVE),
        ("label.role", "3", Comparison.BELOW),
        ("started", "yesterday", Comparison.AT_LEAST),
        ("started", "0001-01-01", Comparison.BELOW),
        ("started", "9999-12-31", Comparison.ABOVE),
    ],
)
def test_a_value_of_another_type_is_an_error_at_the_value(field: str, value: str, comparison: Comparison) -> None:
    with pytest.raises(FilterInvalid) as caught:
        resolve(term(field, value, comparison), 11)
    assert caught.value.offset == 11
    assert caught.value.expected

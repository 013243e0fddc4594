"""Filters as predicates over rows in memory: for findings, and as the judge of what the stores
select."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ringfence.model.filter import And, Filter, Not, Or, Term
from ringfence.store.addresses import MAPPED, address_key, network_keys, overlaps_mapped
from ringfence.store.filter.conditions import Between, Condition, Matches, Present, Within, resolve
from ringfence.store.filter.fields import Finder, Total, find_field
from ringfence.store.filter.pattern import compiled

Row = Mapping[str, Any]
Predicate = Callable[[Row], bool]


def to_predicate(tree: Filter | None, find: Finder = find_field) -> Predicate:
    """A function of one row (column names to values, as `FlowPage.rows`); a missing column counts as null.

    Raises:
        FilterInvalid: a term that was not made by `parse_filter` names an unknown field or has an impossible value.
    """
    match tree:
        case None:
            return lambda row: True
        case Not(operand=operand):
            inner = to_predicate(operand, find)
            return lambda row: not inner(row)
        case And(operands=operands):
            every = [to_predicate(operand, find) for operand in operands]
            return lambda row: all(test(row) for test in every)
        case Or(operands=operands):
            some = [to_predicate(operand, find) for operand in operands]
            return lambda row: any(test(row) for test in some)
        case Term():
            tests = [_condition(condition) for condition in resolve(tree, find=find)]
            return lambda row: any(test(row) for test in tests)


def _condition(condition: Condition) -> Predicate:
    value = _reader(condition.column)
    match condition:
        case Present():
            return lambda row: value(row) not in (None, [])
        case Matches(pattern=pattern):
            matches = compiled(pattern).fullmatch
            return lambda row: any(matches(text) for text in _texts(value(row)))
        case Within(network=network):
            first, last = network_keys(network)
            hole = range(MAPPED, MAPPED + 2**32) if overlaps_mapped(network) else ()

            def within(row: Row) -> bool:
                key = address_key(str(value(row)))
                return key is not None and first <= key <= last and key not in hole

            return within
        case Between(low=low, high=high):

            def between(row: Row) -> bool:
                found = value(row)
                return found is not None and (low is None or found >= low) and (high is None or found <= high)

            return between


def _reader(column: Any) -> Callable[[Row], Any]:
    if not isinstance(column, Total):
        name = column.name
        return lambda row: row.get(name)

    def total(row: Row) -> int | None:
        known = [row[name] for name in column.columns if row.get(name) is not None]
        return sum(known) if known else None

    return total


def _texts(value: Any) -> list[str]:
    return value if isinstance(value, list) else [] if value is None else [value]

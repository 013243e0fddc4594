"""Filters as SQL for DuckDB: text with question marks, and the values for them. No value ever enters the text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ringfence.model.filter import And, Filter, Not, Or, Term
from ringfence.model.flow import Column, ColumnType
from ringfence.store.addresses import LOW_BITS, MAPPED, Network, network_keys, overlaps_mapped
from ringfence.store.filter.conditions import Between, Condition, Matches, Present, Within, resolve
from ringfence.store.filter.fields import Total
from ringfence.store.filter.pattern import has_wildcard, like, literal

HIGH, LOW = "_high", "_low"
"""Suffixes of the hidden columns that hold an address's 128-bit key in two halves."""


def to_sql(tree: Filter | None) -> tuple[str, list[Any]]:
    """A boolean expression that is never NULL, and its parameters in order.

    Raises:
        FilterInvalid: a term that was not made by `parse_filter` names an unknown field or has an impossible value.
    """
    match tree:
        case None:
            return "true", []
        case Not(operand=operand):
            text, values = to_sql(operand)
            return f"NOT ({text})", values
        case And(operands=operands):
            return _join(" AND ", [to_sql(operand) for operand in operands])
        case Or(operands=operands):
            return _join(" OR ", [to_sql(operand) for operand in operands])
        case Term():
            text, values = _join(" OR ", [_condition(condition) for condition in resolve(tree)])
            return f"coalesce({text}, false)", values


def _join(word: str, parts: list[tuple[str, list[Any]]]) -> tuple[str, list[Any]]:
    return word.join(f"({text})" for text, _ in parts), [value for _, values in parts for value in values]


def _condition(condition: Condition) -> tuple[str, list[Any]]:
    match condition:
        case Present(column=column):
            return _present(column), []
        case Matches(column=column, pattern=pattern):
            return _matches(column.name, column.type is ColumnType.LABELS, pattern)
        case Within(column=column, network=network):
            return _within(column.name, network)
        case Between(column=column, low=low, high=high):
            return _between(column, low, high)


def _present(column: Column | Total) -> str:
    if isinstance(column, Total):
        return " OR ".join(f'"{name}" IS NOT NULL' for name in column.columns)
    return f'len("{column.name}") > 0' if column.type is ColumnType.LABELS else f'"{column.name}" IS NOT NULL'


def _matches(name: str, is_list: bool, pattern: str) -> tuple[str, list[Any]]:
    if has_wildcard(pattern):
        if is_list:
            return f"len(list_filter(\"{name}\", lambda entry: entry LIKE ? ESCAPE '\\')) > 0", [like(pattern)]
        return f"\"{name}\" LIKE ? ESCAPE '\\'", [like(pattern)]
    if is_list:
        return f'list_contains("{name}", ?)', [literal(pattern)]
    return f'"{name}" = ?', [literal(pattern)]


def _within(name: str, network: Network) -> tuple[str, list[Any]]:
    first, last = network_keys(network)
    high, low = f'"{name}{HIGH}"', f'"{name}{LOW}"'
    if first >> 64 == last >> 64:
        text, values = f"{high} = ?", [first >> 64]
        text, values = f"{text} AND {low} BETWEEN ? AND ?", [*values, first & LOW_BITS, last & LOW_BITS]
    else:
        text, values = f"{high} BETWEEN ? AND ?", [first >> 64, last >> 64]
    if overlaps_mapped(network):
        return f"{text} AND NOT ({high} = 0 AND {low} BETWEEN ? AND ?)", [*values, MAPPED, MAPPED | 0xFFFFFFFF]
    return text, values


def _between(column: Column | Total, low: Any, high: Any) -> tuple[str, list[Any]]:
    if isinstance(column, Total):
        one, other = (f'"{name}"' for name in column.columns)
        text = f"coalesce({one} + coalesce({other}, 0), {other})"
    else:
        text = f'"{column.name}"'
    if low is not None and low == high:
        return f"{text} = ?", [plain(low)]
    bounds = [(word, plain(bound)) for word, bound in ((">=", low), ("<=", high)) if bound is not None]
    return " AND ".join(f"{text} {word} ?" for word, _ in bounds), [value for _, value in bounds]


def plain(value: Any) -> Any:
    """Times without a zone, as the tables hold them (UTC)."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value

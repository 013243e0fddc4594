"""Filters as Elasticsearch queries, in filter context, of the core query types only."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from ringfence.model.filter import And, Filter, Not, Or, Term
from ringfence.model.flow import ColumnType
from ringfence.store.addresses import Network, overlaps_mapped
from ringfence.store.filter.conditions import LARGEST, Between, Condition, Matches, Present, Within, resolve
from ringfence.store.filter.pattern import has_wildcard, literal, wildcard
from ringfence.store.rows import EPOCH

Query = dict[str, Any]


def to_query(tree: Filter | None) -> Query:
    """The body of a query.

    Raises:
        FilterInvalid: a term that was not made by `parse_filter` names an unknown field or has an impossible value.
    """
    match tree:
        case None:
            return {"match_all": {}}
        case Not(operand=operand):
            return {"bool": {"must_not": [to_query(operand)]}}
        case And(operands=operands):
            return {"bool": {"filter": [to_query(operand) for operand in operands]}}
        case Or(operands=operands):
            return _any([to_query(operand) for operand in operands])
        case Term():
            return _any([_condition(condition) for condition in resolve(tree)])


def _any(queries: list[Query]) -> Query:
    return queries[0] if len(queries) == 1 else {"bool": {"should": queries, "minimum_should_match": 1}}


def _condition(condition: Condition) -> Query:
    field = condition.column.ecs
    match condition:
        case Present():
            return {"exists": {"field": field}}
        case Matches(pattern=pattern) if has_wildcard(pattern):
            return {"wildcard": {field: {"value": wildcard(pattern)}}}
        case Matches(pattern=pattern):
            return {"term": {field: {"value": literal(pattern)}}}
        case Within(network=network):
            inside: Query = {"term": {field: {"value": str(_unmapped(network))}}}
            if overlaps_mapped(network):  # Elasticsearch keeps IPv4 at ::ffff:0:0/96, which ::/0 does not mean
                return {"bool": {"filter": [inside], "must_not": [{"term": {field: {"value": "0.0.0.0/0"}}}]}}
            return inside
        case Between(low=low, high=high):
            return _between(field, low, high)


def _between(field: str, low: Any, high: Any) -> Query:
    """Elasticsearch refuses to look for values that no field can hold: nothing has them."""
    too_large = isinstance(low, int) and low > LARGEST[ColumnType.LONG]
    if too_large or (isinstance(high, datetime) and high < EPOCH):
        return {"match_none": {}}
    bounds = {word: plain(bound) for word, bound in (("gte", low), ("lte", high)) if bound is not None}
    return {"range": {field: bounds}}


def _unmapped(network: Network) -> Network:
    """A network inside ::ffff:0:0/96 as the IPv4 network it stands for: Elasticsearch refuses the former."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return network if mapped is None else IPv4Network((mapped, network.prefixlen - 96))


def plain(value: Any) -> Any:
    """Times as text with microseconds; numbers as they are."""
    return value if isinstance(value, int) else value.isoformat(timespec="microseconds")

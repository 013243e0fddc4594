from __future__ import annotations

import json

import pytest

from ringfence.errors import FilterInvalid
from ringfence.store.filter.elastic import to_query
from ringfence.store.filter.parser import MAX_DEPTH, parse_filter
from tests.support.filters import DEEPEST, FILTERS, nested

CORE = {"bool", "term", "range", "wildcard", "exists", "match_all", "match_none"}

OF_THE_WINDOW = 1
SERVER_DEPTH = 30
"""Elasticsearch's default of `indices.query.bool.max_nested_depth`."""


def kinds(query: object) -> set[str]:
    if isinstance(query, list):
        return set().union(*map(kinds, query))
    assert isinstance(query, dict)
    (kind,) = query
    if kind != "bool":
        return {kind}
    return {kind}.union(*(kinds(part) for part in query["bool"].values() if isinstance(part, list)))


@pytest.mark.parametrize("text", FILTERS)
def test_only_core_queries_are_used_and_they_are_json(text: str) -> None:
    query = to_query(parse_filter(text))
    assert kinds(query) <= CORE
    json.dumps(query)


def depth(query: object) -> int:
    """How many queries are inside one another."""
    if isinstance(query, list):
        return max(map(depth, query))
    assert isinstance(query, dict)
    parts = [part for part in query.get("bool", {}).values() if isinstance(part, list)]
    return 1 + max(map(depth, parts), default=0)


def test_the_deepest_filter_is_a_query_that_the_server_takes() -> None:
    assert depth(to_query(parse_filter(DEEPEST))) + OF_THE_WINDOW <= SERVER_DEPTH
    with pytest.raises(FilterInvalid):
        parse_filter(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("dport: 80", {"range": {"destination.port": {"gte": 80, "lte": 80}}}),
        ("src: 10.0.0.0/8", {"term": {"source.ip": {"value": "10.0.0.0/8"}}}),
        ("src: ::ffff:0:0/96", {"term": {"source.ip": {"value": "0.0.0.0/0"}}}),
        ("host: a?*", {"wildcard": {"host.name": {"value": "a\\?*"}}}),
        ("started < 1970-01-01", {"match_none": {}}),
        ("bytes > 9223372036854775807", {"match_none": {}}),
        ("bytes >= 9223372036854775807", {"range": {"network.bytes": {"gte": 2**63 - 1}}}),
        ("ended: *", {"exists": {"field": "event.end"}}),
    ],
)
def test_terms_name_ecs_fields(text: str, query: object) -> None:
    assert to_query(parse_filter(text)) == query

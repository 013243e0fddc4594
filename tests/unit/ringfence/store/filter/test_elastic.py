from __future__ import annotations

import json

import pytest

from ringfence.store.filter.elastic import to_query
from ringfence.store.filter.parser import parse_filter
from tests.support.filters import FILTERS

CORE = {"bool", "term", "range", "wildcard", "exists", "match_all"}


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


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("dport: 80", {"range": {"destination.port": {"gte": 80, "lte": 80}}}),
        ("src: 10.0.0.0/8", {"term": {"source.ip": {"value": "10.0.0.0/8"}}}),
        ("src: ::ffff:0:0/96", {"term": {"source.ip": {"value": "0.0.0.0/0"}}}),
        ("host: a?*", {"wildcard": {"host.name": {"value": "a\\?*"}}}),
        ("ended: *", {"exists": {"field": "event.end"}}),
    ],
)
def test_terms_name_ecs_fields(text: str, query: object) -> None:
    assert to_query(parse_filter(text)) == query

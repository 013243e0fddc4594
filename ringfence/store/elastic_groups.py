"""Groups of flows on Elasticsearch: all of them are looked at, page by page, and only the largest are kept."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from ringfence.model.flow import BY_NAME, ColumnType
from ringfence.store.elastic_documents import LAST_SEEN_US, STARTED_US, label_set_field, row_of
from ringfence.store.rows import EPOCH

GROUP_PAGE = 2_000

DENIED = {"term": {"verdict.enforced": "denied"}}
STAGED = {"bool": {"filter": [{"term": {"verdict.staged": "denied"}}], "must_not": [DENIED]}}
"""Would have been denied, and was not."""

Ask = Callable[..., dict[str, Any]]
Bucket = dict[str, Any]


def largest_groups(ask: Ask, by: tuple[str, ...], limit: int) -> list[dict[str, Any]]:
    """Rows of `summary_schema`, most flows first, at most `limit`. `ask` searches the flows that are grouped."""
    labels = tuple(name for name in by if BY_NAME[name].type is ColumnType.LABELS)
    return [_row(bucket, labels) for bucket in heapq.nsmallest(limit, _buckets(ask, by, labels), key=_rank)]


def _buckets(ask: Ask, by: tuple[str, ...], labels: tuple[str, ...]) -> Iterator[Bucket]:
    fields = {name: label_set_field(BY_NAME[name]) if name in labels else BY_NAME[name].ecs for name in by}
    sources = [{name: {"terms": {"field": field, "missing_bucket": True}}} for name, field in fields.items()]
    figures = _figures([BY_NAME[name].ecs for name in labels])
    after: dict[str, Any] = {}
    while True:
        composite = {"size": GROUP_PAGE, "sources": sources, **after}
        found = ask(size=0, track_total_hits=False, aggs={"groups": {"composite": composite, "aggs": figures}})
        groups = found["aggregations"]["groups"]
        yield from groups["buckets"]
        if "after_key" not in groups:
            return
        after = {"after": groups["after_key"]}


def _figures(kept: list[str]) -> dict[str, Any]:
    """What is asked of each group; `kept`: the fields of its example that are needed beside the id."""
    example = {"size": 1, "sort": [{"flow.id": "asc"}], "_source": kept or False}
    return {
        "denied": {"filter": DENIED},
        "staged_denied": {"filter": STAGED},
        "packets": {"sum": {"field": "network.packets"}},
        "bytes": {"sum": {"field": "network.bytes"}},
        "first_seen": {"min": {"field": STARTED_US}},
        "last_seen": {"max": {"field": LAST_SEEN_US}},
        "example": {"top_hits": example},
    }


def _example(bucket: Bucket) -> dict[str, Any]:
    hit: dict[str, Any] = bucket["example"]["hits"]["hits"][0]
    return hit


def _rank(bucket: Bucket) -> tuple[int, str]:
    return -bucket["doc_count"], _example(bucket)["_id"]


def _row(bucket: Bucket, labels: tuple[str, ...]) -> dict[str, Any]:
    """The key of a label set is its digest; the labels themselves are those of the example."""
    example = _example(bucket)
    written = row_of(example.get("_source", {}))
    times = {name: EPOCH + timedelta(microseconds=bucket[name]["value"]) for name in ("first_seen", "last_seen")}
    return {
        **bucket["key"],
        **{name: written[name] for name in labels},
        "flows": bucket["doc_count"],
        "denied": bucket["denied"]["doc_count"],
        "staged_denied": bucket["staged_denied"]["doc_count"],
        "packets": int(bucket["packets"]["value"]),
        "bytes": int(bucket["bytes"]["value"]),
        **times,
        "example": example["_id"],
    }

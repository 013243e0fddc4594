"""The flow store on Elasticsearch: any number of servers write and read.

Open flows stand in an index whose documents are replaced, final ones in a data stream. There are no transactions, so
the steps of a batch are ordered such that repeating all of them after a crash gives the same as doing them once; the
batch's id is written last.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa

from ringfence.clock import Clock, utc_now
from ringfence.errors import StoreAway
from ringfence.log import logger
from ringfence.model.flow import BY_NAME, FlowBatch
from ringfence.model.gap import Gap
from ringfence.store.elastic_cluster import PAGE, Cluster
from ringfence.store.elastic_documents import (
    STARTED_US,
    documents,
    gap_document,
    gap_of,
    row_of,
    table_of,
    time_text,
)
from ringfence.store.elastic_groups import DENIED, STAGED, largest_groups
from ringfence.store.elastic_retention import forget_batches, prune_flows
from ringfence.store.filter.elastic import to_query
from ringfence.store.flows import NEWEST, FlowOrder, FlowPage, FlowQuery
from ringfence.store.rows import (
    COUNTS,
    EPOCH,
    bucket_starts,
    conform,
    decode_cursor,
    decode_key,
    encode_cursor,
    encode_key,
    final_rows,
    grouping,
    histogram_table,
    summary_schema,
)

BATCH_MEMORY = timedelta(days=1)
TIDY_EVERY = 1000
MICROSECOND = timedelta(microseconds=1)

_NEWEST_FIRST = [
    {"event.start": {"order": "desc", "format": "strict_date_optional_time_nanos"}},
    {"flow.id": {"order": "asc"}},
]
SORT_KEYS: dict[str, tuple[str, type[int] | type[str]]] = {
    "started": (STARTED_US, int),
    "src_name": (BY_NAME["src_name"].ecs, str),
    "dst_name": (BY_NAME["dst_name"].ecs, str),
    "dst_port": (BY_NAME["dst_port"].ecs, int),
    "bytes": ("network.bytes", int),
}
"""The field that rows are ordered by, and the kind of its value in a cursor."""
_ALLOWED = {"bool": {"filter": [{"term": {"verdict.enforced": "allowed"}}], "must_not": [STAGED]}}
_CLASSES = {name: {"filter": query} for name, query in zip(COUNTS, (_ALLOWED, DENIED, STAGED), strict=False)}


class ElasticFlowStore:
    """A `FlowStore`. What of a batch is written may show before the rest is: then flows of it are missing, or one that
    ended is there both open and final. Once the batch is stored, at the latest when it was sent again, each is there
    once.

    Raises:
        StoreUnavailable: the server refuses; from every method also when it does not answer.
        QueryInvalid: the server does not take the question; from the methods of a `FlowReader`.
    """

    def __init__(self, url: str, *, ca: str = "", prefix: str = "ringfence", clock: Clock = utc_now) -> None:
        """A server that is away only for now raises nothing here: it is prepared when it is first asked."""
        self._cluster = Cluster(url, ca=ca, prefix=prefix)
        self._clock = clock
        self._appended = itertools.count(1)
        try:
            self._cluster.prepare()
        except StoreAway as error:
            logger("store").warning("the flow store is away; it is asked again when it is needed", error=str(error))
        except BaseException:
            self._cluster.close()
            raise

    def _ready(self) -> Cluster:
        """The cluster with all that the store needs on it."""
        self._cluster.prepare()
        return self._cluster

    def append(self, batch: FlowBatch) -> bool:
        """See `FlowWriter.append`; rows of another shape raise ValueError, and nothing of the batch is stored."""
        flows, cluster = conform(batch.flows), self._ready()
        if cluster.has(cluster.batches, batch.id):
            return False
        cluster.write(self._operations(flows, batch.gaps))
        cluster.refresh(cluster.final, cluster.open, cluster.gaps)
        now = self._clock()
        first = cluster.create(cluster.batches, batch.id, {"host": batch.host, "stored": time_text(now)})
        if next(self._appended) % TIDY_EVERY == 0:
            forget_batches(cluster, now - BATCH_MEMORY)
        return first

    def _operations(self, flows: pa.Table, gaps: tuple[Gap, ...]) -> Iterator[tuple[str, str, str, bytes | None]]:
        """Final rows first: between the steps a flow is rather there twice than not at all."""
        cluster = self._cluster
        opened, final = final_rows(flows)
        done = self._already_final(flows["flow_id"].to_pylist())
        for flow_id, document in documents(final):
            if flow_id not in done:
                yield "create", cluster.final, flow_id, document
        for flow_id in itertools.chain(final["flow_id"].to_pylist(), done):
            yield "delete", cluster.open, flow_id, None
        for flow_id, document in documents(opened):
            if flow_id not in done:
                yield "index", cluster.open, flow_id, document
        for gap in gaps:
            yield "index", cluster.gaps, gap.id, gap_document(gap)

    def _already_final(self, flow_ids: list[str]) -> set[str]:
        """A data stream refuses an id twice only within one of its indices; this looks through all of them."""
        found: set[str] = set()
        for start in range(0, len(flow_ids), PAGE):
            query = {"terms": {"flow.id": flow_ids[start : start + PAGE]}}
            answer = self._cluster.search(
                self._cluster.final, query=query, size=2 * PAGE, source=False, track_total_hits=False
            )
            found |= {hit["_id"] for hit in answer["hits"]["hits"]}
        return found

    def open_flows(self, host: str) -> pa.Table:
        query = {"term": {"host.name": host}}
        cluster = self._ready()
        hits = cluster.every(cluster.open, query, sort=[{"flow.id": "asc"}])
        return table_of([row_of(hit["_source"]) for hit in hits])

    def prune(self, before: datetime) -> int:
        return prune_flows(self._ready(), before)

    def search(self, query: FlowQuery, *, limit: int = 100, cursor: str | None = None) -> FlowPage:
        hits: list[dict[str, Any]] = []
        total, after = None, _after(query.order, cursor)
        while total is None or (len(hits) <= limit and after):
            size = min(limit + 1 - len(hits), PAGE)
            found = self._ready().ask(
                query=_query(query),
                sort=_sort(query.order),
                size=size,
                track_total_hits=total is None,
                **after,
            )
            total = found["hits"]["total"]["value"] if total is None else total
            page = found["hits"]["hits"]
            hits += page
            after = {"search_after": page[-1]["sort"]} if len(page) == size else {}
        more = len(hits) > limit > 0
        return FlowPage(
            rows=tuple(row_of(hit["_source"]) for hit in hits[:limit]),
            cursor=_cursor_after(query.order, hits[limit - 1]) if more else None,
            total=total,
        )

    def get(self, flow_id: str) -> dict[str, Any] | None:
        hits = self._ready().ask(query={"term": {"flow.id": flow_id}}, size=1)["hits"]["hits"]
        return row_of(hits[0]["_source"]) if hits else None

    def summarize(self, query: FlowQuery, by: tuple[str, ...], *, limit: int = 10_000) -> pa.Table:
        """See `FlowReader.summarize`. Every group is fetched, for that is the only exact way; the largest are kept."""
        ask = partial(self._ready().ask, query=_query(query))
        return pa.Table.from_pylist(largest_groups(ask, grouping(by), limit), summary_schema(by))

    def histogram(self, query: FlowQuery, *, bucket_seconds: int) -> pa.Table:
        starts = bucket_starts(query.start, query.end, bucket_seconds)
        # Over whole microseconds, for a date_histogram fails on nanoseconds when all flows are of one bucket.
        before = {"range": {STARTED_US: {"lt": (query.start - EPOCH) // MICROSECOND}}}
        within = {"histogram": {"field": STARTED_US, "interval": bucket_seconds * 1_000_000, "min_doc_count": 1}}
        found = self._ready().ask(
            query=_query(query),
            size=0,
            track_total_hits=False,
            aggs={
                "earlier": {"filter": before, "aggs": _CLASSES},
                "within": {
                    "filter": {"bool": {"must_not": [before]}},
                    "aggs": {"buckets": {**within, "aggs": _CLASSES}},
                },
            },
        )["aggregations"]
        counts = {
            EPOCH + timedelta(microseconds=bucket["key"]): _classes(bucket)
            for bucket in found["within"]["buckets"]["buckets"]
        }
        if starts:
            first = counts.setdefault(starts[0], dict.fromkeys(COUNTS, 0))
            for name, count in _classes(found["earlier"]).items():
                first[name] += count
        return histogram_table(starts, counts)

    def gaps(self, start: datetime, end: datetime) -> tuple[Gap, ...]:
        overlap = [{"range": {"started": {"lt": time_text(end)}}}, {"range": {"ended": {"gte": time_text(start)}}}]
        in_order = [{"started": {"order": "asc", "format": "strict_date_optional_time_nanos"}}, {"id": "asc"}]
        cluster = self._ready()
        hits = cluster.every(cluster.gaps, {"bool": {"filter": overlap}}, sort=in_order)
        found = [gap_of(hit["_id"], hit["_source"]) for hit in hits]
        return tuple(sorted(found, key=lambda gap: (gap.started, gap.id)))

    def close(self) -> None:
        self._cluster.close()


def _query(query: FlowQuery) -> dict[str, Any]:
    window = [
        {"range": {"event.start": {"lt": time_text(query.end)}}},
        {"range": {"@timestamp": {"gte": time_text(query.start)}}},
    ]
    return {"bool": {"filter": [*window, to_query(query.filter)]}}


def _sort(order: FlowOrder) -> list[dict[str, Any]]:
    if order == NEWEST:
        return _NEWEST_FIRST
    field, _ = SORT_KEYS[order.column]
    return [{field: {"order": "desc" if order.down else "asc", "missing": "_last"}}, {"flow.id": {"order": "asc"}}]


def _after(order: FlowOrder, cursor: str | None) -> dict[str, Any]:
    if cursor is None:
        return {}
    if order != NEWEST:
        return {"search_after": decode_key(cursor, SORT_KEYS[order.column][1])}
    micros, flow_id = decode_cursor(cursor)
    return {"search_after": [time_text(EPOCH + timedelta(microseconds=micros)), flow_id]}


def _cursor_after(order: FlowOrder, hit: dict[str, Any]) -> str:
    """What a row without the value is ordered by is the server's own: null for text, the last number otherwise."""
    if order != NEWEST:
        return encode_key(*hit["sort"])
    last = row_of(hit["_source"])
    return encode_cursor(last["started"], last["flow_id"])


def _classes(bucket: dict[str, Any]) -> dict[str, int]:
    known = {name: int(bucket[name]["doc_count"]) for name in _CLASSES}
    return known | {"unknown": bucket["doc_count"] - sum(known.values())}

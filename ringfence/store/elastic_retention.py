"""Retention on Elasticsearch without lifecycle policies: whole indices where possible, single documents elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ringfence.model.flow import IMPORTED
from ringfence.model.gap import GapCause
from ringfence.store.elastic_cluster import PAGE, Cluster, failures
from ringfence.store.elastic_documents import time_text

ROLLOVER = {"max_age": "1d", "max_primary_shard_size": "25gb"}
"""When the data stream goes on in a new index, so that the old one can be deleted whole."""


def prune_flows(cluster: Cluster, before: datetime) -> int:
    """Delete final flows last seen before that; returns how many. Old gaps go as well, what was imported stays."""
    old = _old("@timestamp", before, kept={"flow.end_reason": IMPORTED})
    gone = _drop_indices(cluster, old) if cluster.has_final() else 0
    gone += delete_matching(cluster, cluster.final, old, sort="flow.id")
    delete_matching(cluster, cluster.gaps, _old("ended", before, kept={"cause": GapCause.IMPORT.value}), sort="_doc")
    cluster.refresh(cluster.final, cluster.gaps)
    with failures():
        if cluster.has_final():
            cluster.client.indices.rollover(alias=cluster.final, conditions=ROLLOVER)
    return gone


def _old(field: str, before: datetime, *, kept: dict[str, str]) -> dict[str, Any]:
    return {"bool": {"filter": [{"range": {field: {"lt": time_text(before)}}}], "must_not": [{"term": kept}]}}


def _drop_indices(cluster: Cluster, old: dict[str, Any]) -> int:
    """Delete indices all of whose flows are old; never the newest, which is written to."""
    gone = 0
    with failures():
        for name in sorted(cluster.client.indices.get(index=cluster.final))[:-1]:
            total = cluster.client.count(index=name)["count"]
            if total == cluster.client.count(index=name, query=old)["count"]:
                cluster.client.indices.delete(index=name)
                gone += total
    return gone


def delete_matching(cluster: Cluster, index: str, query: dict[str, Any], *, sort: str) -> int:
    """Delete page by page; each page is refreshed away before the next is asked for."""
    gone = 0
    while True:
        found = cluster.search(index, query=query, size=PAGE, source=False, sort=[sort], track_total_hits=False)
        hits = found["hits"]["hits"]
        cluster.write(("delete", hit["_index"], hit["_id"], None) for hit in hits)
        gone += len(hits)
        if len(hits) < PAGE:
            return gone
        cluster.refresh(index)


def forget_batches(cluster: Cluster, before: datetime) -> None:
    """Drop the ids of batches stored before that: a host repeats its last batch only, and soon."""
    cluster.refresh(cluster.batches)
    delete_matching(cluster, cluster.batches, {"range": {"stored": {"lt": time_text(before)}}}, sort="_doc")

"""The flow store's protocols and its questions; `duckdb` and `elastic` answer them identically."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from ringfence.model.filter import Filter
from ringfence.model.flow import FlowBatch
from ringfence.model.gap import Gap

SORTED = ("started", "src_name", "dst_name", "dst_port", "bytes")
"""What rows can be ordered by: columns, and the bytes of both ways together."""


@dataclass(frozen=True, slots=True)
class FlowOrder:
    """By one of `SORTED`, where it is not known last, then by flow id."""

    column: str = "started"
    down: bool = True


NEWEST = FlowOrder()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowQuery:
    """Flows that were active in [start, end): started before its end and last seen at or after its start.

    `order` is that of `search`; a cursor belongs to its order.
    """

    start: datetime
    end: datetime
    filter: Filter | None = None
    order: FlowOrder = NEWEST


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPage:
    """Rows by column name, in the query's order; `cursor` continues, None at the end; `total` counts all that match."""

    rows: tuple[dict[str, Any], ...]
    cursor: str | None
    total: int


class FlowWriter(Protocol):
    """Takes batches from hosts."""

    def append(self, batch: FlowBatch) -> bool:
        """Store a batch; False when this batch id was stored before, perhaps by a call whose answer was lost.

        Raises:
            StoreUnavailable: nobody knows how much of it was stored; appended again, it is stored whole and once.
        """

    def open_flows(self, host: str) -> pa.Table:
        """Rows of `FLOW_SCHEMA` without an `end_reason`, so that a restarted collector takes them up again."""

    def prune(self, before: datetime) -> int:
        """Delete final flows last seen before `before`, and gaps of before; returns how many flows.

        What was imported stays.
        """

    def close(self) -> None: ...


class FlowReader(Protocol):
    """Answers pages and reports. Counting rows counts connections."""

    def search(self, query: FlowQuery, *, limit: int = 100, cursor: str | None = None) -> FlowPage: ...

    def get(self, flow_id: str) -> dict[str, Any] | None: ...

    def summarize(self, query: FlowQuery, by: tuple[str, ...], *, limit: int = 10_000) -> pa.Table:
        """Group by column names. Columns: `by`, then flows, denied, staged_denied, packets, bytes (int64, sums of both
        ways over known figures), first_seen, last_seen (timestamps) and example (a flow id); most flows first."""

    def histogram(self, query: FlowQuery, *, bucket_seconds: int) -> pa.Table:
        """Columns: bucket (timestamp, start of bucket, UTC), allowed, denied, staged_denied, unknown (int64).

        A flow counts once, in the bucket of its start, or in the first bucket when it started earlier.
        `staged_denied` counts flows that were not denied but would have been.
        """

    def gaps(self, start: datetime, end: datetime) -> tuple[Gap, ...]:
        """Gaps that overlap [start, end), oldest first."""


class FlowStore(FlowWriter, FlowReader, Protocol):
    """Both halves; one object per process."""

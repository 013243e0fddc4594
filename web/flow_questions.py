"""What the flow pages ask the store: rows, bars, edges, and what stands in the way of an empty answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ringfence.errors import StoreUnavailable
from ringfence.model.gap import Gap
from ringfence.store.flows import NEWEST, FlowOrder, FlowPage, FlowQuery, FlowReader
from web.bar import Bar, Token, read_bar
from web.sorting import BY_ITSELF, Order
from web.window import Window

PAGE = 100
MOST_EXPORTED = 100_000
SERIES = ("allowed", "denied", "staged_denied", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One token that could be left out, and how many flows there are then."""

    token: Token
    text: str
    flows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Counts per bucket; `times` are seconds since 1970, `gaps` are (start, end) in the same unit."""

    bucket_seconds: int
    times: tuple[int, ...]
    series: Mapping[str, tuple[int, ...]]
    gaps: tuple[tuple[float, float], ...]
    start: float
    end: float

    def total(self, name: str) -> int:
        return sum(self.series[name])


def query_of(window: Window, bar: Bar, order: Order = BY_ITSELF) -> FlowQuery:
    by = FlowOrder(order.column, order.down) if order.column else NEWEST
    return FlowQuery(start=window.start, end=window.end, filter=bar.filter, order=by)


def page_of(
    flows: FlowReader,
    window: Window,
    bar: Bar,
    *,
    cursor: str | None = None,
    limit: int = PAGE,
    order: Order = BY_ITSELF,
) -> FlowPage:
    return flows.search(query_of(window, bar, order), limit=limit, cursor=cursor)


def ways_out(flows: FlowReader, window: Window, bar: Bar) -> tuple[Way, ...]:
    """For an empty list: how many flows each token, left out, would let in; the most helpful first."""
    ways = []
    for token in [item for item in bar.tokens if item.on][:6]:
        text = bar.without(token)
        count = page_of(flows, window, read_bar(text), limit=1).total
        if count:
            ways.append(Way(token=token, text=text, flows=count))
    return tuple(sorted(ways, key=lambda way: -way.flows))


def bars_of(flows: FlowReader, window: Window, bar: Bar, gaps: Sequence[Gap]) -> Bars:
    """The histogram with a bar for every bucket, empty ones too."""
    size = window.bucket_seconds
    table = flows.histogram(query_of(window, bar), bucket_seconds=size).to_pydict()
    counted = {
        int(bucket.timestamp()): tuple(int(table[name][index] or 0) for name in SERIES)
        for index, bucket in enumerate(table["bucket"])
    }
    first = int(window.start.timestamp()) // size * size
    if counted:
        first += (min(counted) - first) % size  # buckets of a day or a week need not be aligned to the epoch
    times = tuple(range(first, int(window.end.timestamp()) + 1, size))
    nothing = (0,) * len(SERIES)
    columns = zip(*(counted.get(moment, nothing) for moment in times), strict=True)
    return Bars(
        bucket_seconds=size,
        times=times,
        series=dict(zip(SERIES, columns, strict=True)),
        gaps=tuple((gap.started.timestamp(), gap.ended.timestamp()) for gap in gaps),
        start=window.start.timestamp(),
        end=window.end.timestamp(),
    )


def neighbours(flows: FlowReader, row: Mapping[str, Any]) -> int:
    """How many flows the same two ends had in the hour around this one."""
    around = timedelta(minutes=30)
    pair = read_bar(f'src_ip: "{row["src_ip"]}" and dst_ip: "{row["dst_ip"]}"')
    query = FlowQuery(start=row["started"] - around, end=row["started"] + around, filter=pair.filter)
    return flows.search(query, limit=1).total


def gaps_in(flows: FlowReader, window: Window) -> tuple[Gap, ...]:
    return flows.gaps(window.start, window.end)


def gaps_if_known(flows: FlowReader, window: Window) -> tuple[Gap, ...] | None:
    """None while the flow store does not answer: what is asked besides is told without it."""
    try:
        return gaps_in(flows, window)
    except StoreUnavailable:
        return None


def newest_since(
    flows: FlowReader, bar: Bar, since: datetime, now: datetime, *, limit: int, cursor: str | None = None
) -> FlowPage:
    """Flows with evidence since a moment, for the live tail."""
    query = FlowQuery(start=since, end=now + timedelta(seconds=1), filter=bar.filter)
    return flows.search(query, limit=limit, cursor=cursor)

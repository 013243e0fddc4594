"""Flows written by hand: one row with what is required, and batches of such rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa

from ringfence.model.flow import FLOW_SCHEMA, FlowBatch
from ringfence.model.gap import Gap, GapCause
from tests.support.generate import START


def flow(flow_id: str = "f1", **values: Any) -> dict[str, Any]:
    """One row with all required values; an open TCP flow unless told otherwise."""
    return {
        "flow_id": flow_id,
        "host": "h1",
        "reporter": "src",
        "origin": "conntrack",
        "started": START,
        "last_seen": START + timedelta(seconds=1),
        "protocol": 6,
        "transport": "tcp",
        "ip_version": 4,
        "src_ip": "10.0.0.1",
        "dst_ip": "10.0.0.2",
        "src_method": "netns",
        "dst_method": "netns",
        **values,
    }


def batch(batch_id: str, *rows: dict[str, Any], gaps: tuple[Gap, ...] = ()) -> FlowBatch:
    return FlowBatch(id=batch_id, host="h1", flows=pa.Table.from_pylist(list(rows), FLOW_SCHEMA), gaps=gaps)


def gap(gap_id: str, start: int, end: int, lost: int | None = None) -> Gap:
    """A gap from `start` to `end` seconds after START."""
    at = [START + timedelta(seconds=offset) for offset in (start, end)]
    return Gap(id=gap_id, host="h1", started=at[0], ended=at[1], cause=GapCause.SOCKET_OVERRUN, lost=lost, detail="x")

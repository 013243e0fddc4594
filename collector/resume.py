"""Resume: the open rows of a former run, so that a connection that still exists keeps its id and is counted once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from collector.legs import Rows
from collector.spool import Spool
from ringfence.model.flow import FLOW_SCHEMA
from ringfence.model.verdict import Outcome
from ringfence.model.workload import Method

NEWER = timedelta(seconds=2)
"""A connection that began this much later than the row says is another one with the same ports."""
_ENDS = ("workload", "name", "kind", "labels", "identity", "method")

Key = tuple[Any, ...]


class Resume:
    """Rows wait here until the first complete dump has shown which connections still exist."""

    def __init__(self, table: pa.Table) -> None:
        """`table`: rows of `FLOW_SCHEMA` without an end reason."""
        self._waiting: dict[Key, list[dict[str, Any]]] = {}
        for row in table.to_pylist():
            self._waiting.setdefault(key_of(row), []).append(row)
        self._carried: dict[int, dict[str, Any]] = {}
        self._expires: int | None = None

    @property
    def waiting(self) -> int:
        """Rows not found again yet."""
        return sum(map(len, self._waiting.values()))

    @property
    def busy(self) -> bool:
        """Whether rows that are written need to be looked at."""
        return bool(self._waiting or self._carried)

    def concerned(self, flows: Rows, fresh: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of these flow numbers (n,) are to be matched or carried; `fresh` (n,): never written before."""
        carried = np.isin(flows, np.fromiter(self._carried, np.int64, len(self._carried)))
        return carried | fresh if self._waiting else carried

    def match(self, flow: int, row: dict[str, Any]) -> dict[str, Any] | None:
        """The former row of the same connection, taken out; `flow` is the number it will be asked for again."""
        candidates = self._waiting.get(key_of(row), [])
        for position, former in enumerate(candidates):
            if _same(former, row):
                del candidates[position]
                if not candidates:
                    del self._waiting[key_of(row)]
                self._carried[flow] = former
                return former
        return None

    def carry(self, flow: int, row: dict[str, Any]) -> None:
        """Put into a new row what only the former run knew: a denial, and who an end was."""
        former = self._carried.get(flow)
        if former is None:
            return
        for side in ("src", "dst"):
            if row[f"{side}_method"] == Method.UNKNOWN != former[f"{side}_method"]:
                row.update({f"{side}_{name}": former[f"{side}_{name}"] for name in _ENDS})
        if former["enforced"] == Outcome.DENIED and row["enforced"] != Outcome.DENIED:
            row.update({name: former[name] for name in ("enforced", "enforced_basis", "rule", "sentence")})
            if row["end_reason"] == "closed":
                row["end_reason"] = "denied"
        for name in ("egress_rule", "ingress_rule", "rule", "nat_src_ip", "nat_src_port", "nat_dst_ip", "nat_dst_port"):
            row[name] = former[name] if row[name] is None else row[name]

    def forget(self, flows: Rows) -> None:
        """These numbers are used for other flows from now on."""
        if self._carried:
            for flow in flows:
                self._carried.pop(int(flow), None)

    def expire_after(self, tick: int) -> None:
        """What was not found when `lost` is asked at a later tick is gone."""
        self._expires = tick

    def lost(self, tick: int) -> pa.Table:
        """Final rows for what was open before and is gone; once, empty otherwise."""
        if self._expires is None or tick <= self._expires or not self._waiting:
            return FLOW_SCHEMA.empty_table()
        rows = [row for rows in self._waiting.values() for row in rows]
        self._waiting.clear()
        for row in rows:
            row["ended"] = row["ended"] or row["last_seen"]
            row["end_reason"] = "denied" if row["enforced"] == Outcome.DENIED else "lost"
        return pa.Table.from_pylist(rows, schema=FLOW_SCHEMA)


def key_of(row: dict[str, Any]) -> Key:
    """What a row and a connection of the kernel are compared by first."""
    names = ("protocol", "src_ip", "src_port", "dst_ip", "dst_port", "icmp_type", "icmp_code")
    return tuple(row[name] for name in names)


def _same(former: dict[str, Any], row: dict[str, Any]) -> bool:
    for side in ("src", "dst"):
        ids = {former[f"{side}_workload"], row[f"{side}_workload"]} - {None}
        if len(ids) > 1:
            return False
    started: datetime = row["started"]
    return bool(started.astimezone(UTC) <= former["started"].astimezone(UTC) + NEWER)


def latest_open(stored: pa.Table, spool: Spool) -> pa.Table:
    """The open rows of before: the store's, with what still waits in the spool laid over them."""
    rows = {row["flow_id"]: row for row in stored.to_pylist()}
    for batch in spool.pending():
        # A full spool holds millions of final rows: of those only the ids are looked at.
        final = pc.is_valid(batch.flows["end_reason"])
        for flow_id in batch.flows["flow_id"].filter(final).to_pylist():
            rows.pop(flow_id, None)
        rows.update((row["flow_id"], row) for row in batch.flows.filter(pc.invert(final)).to_pylist())
    unfinished = [row for row in rows.values() if row["end_reason"] is None]
    return pa.Table.from_pylist(unfinished, schema=FLOW_SCHEMA)

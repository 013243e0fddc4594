"""What a draft would change: recorded connections that it would open or close, against the policy in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from policy_engine.diff import PolicyDiff, diff
from policy_engine.judge import KEY
from policy_engine.whatif import what_if
from ringfence.model.gap import Gap
from ringfence.model.policy import PolicySet
from ringfence.model.workload import Workload
from ringfence.store.flows import FlowQuery, FlowReader

BACK = timedelta(days=7)
BY = (*KEY, *(name for name in ("protocol", "transport") if name not in KEY))
LIMIT = 5_000
SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """Connections of one kind whose verdict differs; `sentence` is the draft's reason, `rule` its rule."""

    src: str
    dst: str
    service: str
    flows: int
    rule: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """`rules` says what differs in all that is possible, the rest what differs in what was recorded.

    `closed`: allowed by the policy in force and denied by the draft. `opened`: the other way round. `complete` False:
    history has more kinds of connections than were looked at. `since` is where it was begun to look, `first` the oldest
    record that was found; `gaps` are those in between.
    """

    since: datetime
    first: datetime | None
    gaps: tuple[Gap, ...]
    kinds: int
    complete: bool
    opened: tuple[Affected, ...]
    closed: tuple[Affected, ...]
    rules: PolicyDiff

    def flows(self, rows: Sequence[Affected]) -> int:
        return sum(row.flows for row in rows)


def change_of(
    former: PolicySet, draft: PolicySet, workloads: Sequence[Workload], flows: FlowReader, now: datetime
) -> Change:
    """Judge the last seven days by both policies and keep what differs, most flows first."""
    since = now - BACK
    edges = flows.summarize(FlowQuery(start=since, end=now), BY, limit=LIMIT)
    before = what_if(former, edges).column("staged").to_pylist()
    after = what_if(draft, edges)
    opened: list[Affected] = []
    closed: list[Affected] = []
    for index, verdict in enumerate(after.column("staged").to_pylist()):
        if verdict is not None and before[index] is not None and verdict != before[index]:
            (closed if verdict == "denied" else opened).append(_affected(after, index))
    return Change(
        since=since,
        first=min((max(at, since) for at in edges.column("first_seen").to_pylist()), default=None),
        gaps=flows.gaps(since, now),
        kinds=edges.num_rows,
        complete=edges.num_rows < LIMIT,
        opened=_merged(opened),
        closed=_merged(closed),
        rules=diff(former, draft, workloads),
    )


def _affected(table: pa.Table, index: int) -> Affected:
    row = table.slice(index, 1).to_pylist()[0]
    port = row["dst_port"] if row["protocol"] not in (1, 58) else None
    return Affected(
        src=row["src_name"] or row["src_ip"],
        dst=row["dst_name"] or row["dst_ip"],
        service=f"{row['transport']}/{port}" if port is not None else str(row["transport"]),
        flows=row["flows"],
        rule=row["staged_rule"] or "",
        sentence=row["staged_sentence"] or "",
    )


def _merged(rows: Sequence[Affected]) -> tuple[Affected, ...]:
    """Rows that differ only in addresses are one row."""
    found: dict[tuple[str, str, str], Affected] = {}
    for row in rows:
        key = (row.src, row.dst, row.service)
        flows = row.flows + (found[key].flows if key in found else 0)
        found[key] = Affected(
            src=row.src, dst=row.dst, service=row.service, flows=flows, rule=row.rule, sentence=row.sentence
        )
    return tuple(sorted(found.values(), key=lambda row: -row.flows))

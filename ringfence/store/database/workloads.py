"""Workloads, one row per run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ringfence.model.workload import Containment, Workload, WorkloadKind
from ringfence.store.database.connection import Database, put
from ringfence.store.database.encoding import decode_attachments, encode_attachments
from ringfence.store.database.tables import WORKLOADS as TABLE

_ALL = sa.select(TABLE).order_by(TABLE.c.name, TABLE.c.id, TABLE.c.started)


class WorkloadTable:
    """`Workloads`; lists are in order of name, then id, then start."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, workloads: Iterable[Workload]) -> None:
        # Of two rows for one run the last one counts: an INSERT must not meet the same key twice.
        rows = {(item.id, item.started): _row(item) for item in workloads}
        if rows:
            with self._database.writing() as connection:
                # In one order for all, so that two savers never wait for each other's rows.
                put(connection, TABLE, *(rows[key] for key in sorted(rows)))

    def current(self) -> tuple[Workload, ...]:
        return self._select(_ALL.where(TABLE.c.ended.is_(None)))

    def get(self, workload_id: str) -> Workload | None:
        latest = sa.select(TABLE).where(TABLE.c.id == workload_id).order_by(TABLE.c.started.desc()).limit(1)
        found = self._select(latest)
        return found[0] if found else None

    def seen(self, start: datetime, end: datetime) -> tuple[Workload, ...]:
        still = sa.or_(TABLE.c.ended.is_(None), TABLE.c.ended >= start)
        return self._select(_ALL.where(TABLE.c.started < end, still))

    def _select(self, statement: sa.Select[Any]) -> tuple[Workload, ...]:
        with self._database.reading() as connection:
            return tuple(_workload(row) for row in connection.execute(statement).mappings())


def _row(item: Workload) -> dict[str, Any]:
    return {
        "id": item.id,
        "started": item.started,
        "name": item.name,
        "kind": item.kind.value,
        "host": item.host,
        "labels": dict(item.labels),
        "image": item.image,
        "project": item.project,
        "pid": item.pid,
        "netns": item.netns,
        "netns_path": item.netns_path,
        "cgroup": item.cgroup,
        "attachments": encode_attachments(item.attachments),
        "containment": item.containment.value,
        "containment_reason": item.containment_reason,
        "ended": item.ended,
    }


def _workload(row: Any) -> Workload:
    return Workload(
        **{
            **row,
            "kind": WorkloadKind(row["kind"]),
            "containment": Containment(row["containment"]),
            "attachments": decode_attachments(row["attachments"]),
        }
    )

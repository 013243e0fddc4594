"""Reports that were made."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ringfence.store.database.connection import Database, put
from ringfence.store.database.tables import REPORTS as TABLE
from ringfence.store.state import ReportRecord

_NEWEST_FIRST = sa.select(*(column for column in TABLE.columns if column is not TABLE.c.claimed)).order_by(
    TABLE.c.created.desc(), TABLE.c.id
)


class ReportTable:
    """`Reports`; lists are newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, report: ReportRecord) -> None:
        row = {spec.name: getattr(report, spec.name) for spec in dataclasses.fields(report)}
        row |= {"parameters": dict(report.parameters), "files": dict(report.files)}
        with self._database.writing() as connection:
            put(connection, TABLE, row)

    def claim(self, report_id: str, *, now: datetime, until: datetime) -> bool:
        free = sa.or_(TABLE.c.claimed.is_(None), TABLE.c.claimed <= now)
        statement = TABLE.update().where(TABLE.c.id == report_id, TABLE.c.state == "running", free)
        with self._database.writing() as connection:
            return connection.execute(statement.values(claimed=until)).rowcount == 1

    def release(self, report_id: str) -> None:
        with self._database.writing() as connection:
            connection.execute(TABLE.update().where(TABLE.c.id == report_id).values(claimed=None))

    def get(self, report_id: str) -> ReportRecord | None:
        found = self._select(_NEWEST_FIRST.where(TABLE.c.id == report_id))
        return found[0] if found else None

    def list(self, *, limit: int = 200) -> tuple[ReportRecord, ...]:
        return self._select(_NEWEST_FIRST.limit(limit))

    def _select(self, statement: sa.Select[Any]) -> tuple[ReportRecord, ...]:
        with self._database.reading() as connection:
            return tuple(ReportRecord(**row) for row in connection.execute(statement).mappings())

"""Reports that were made."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ringfence.store.database.connection import Database, put
from ringfence.store.database.tables import REPORTS as TABLE
from ringfence.store.state import ReportRecord

_RECORDS = sa.select(*(column for column in TABLE.columns if column.name not in ("claimed", "claims")))


class ReportTable:
    """`Reports`; lists are newest first unless asked otherwise."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, report: ReportRecord) -> None:
        row = {spec.name: getattr(report, spec.name) for spec in dataclasses.fields(report)}
        row |= {"parameters": dict(report.parameters), "files": dict(report.files)}
        with self._database.writing() as connection:
            put(connection, TABLE, row)

    def claim(self, report_id: str, *, now: datetime, until: datetime) -> int:
        free = sa.or_(TABLE.c.claimed.is_(None), TABLE.c.claimed <= now)
        statement = TABLE.update().where(TABLE.c.id == report_id, TABLE.c.state == "running", free)
        counted = statement.values(claimed=until, claims=TABLE.c.claims + 1).returning(TABLE.c.claims)
        with self._database.writing() as connection:
            return connection.execute(counted).scalar_one_or_none() or 0

    def advance(self, report_id: str, *, progress: int, step: str, until: datetime | None = None) -> None:
        running = TABLE.update().where(TABLE.c.id == report_id, TABLE.c.state == "running")
        claim = {} if until is None else {"claimed": until}
        with self._database.writing() as connection:
            connection.execute(running.values(progress=progress, step=step, **claim))

    def release(self, report_id: str, *, until: datetime | None = None) -> None:
        counted = TABLE.update().where(TABLE.c.id == report_id, TABLE.c.state == "running", TABLE.c.claims > 0)
        if until is None:
            counted = counted.where(TABLE.c.claimed.is_not(None))
        anothers = sa.false() if until is None else TABLE.c.claimed != until
        given_back = counted.values(
            claimed=sa.case((anothers, TABLE.c.claimed)),
            claims=TABLE.c.claims - 1,
            progress=sa.case((anothers, TABLE.c.progress), else_=0),
            step=sa.case((anothers, TABLE.c.step), else_=""),
        )
        with self._database.writing() as connection:
            connection.execute(given_back)

    def get(self, report_id: str) -> ReportRecord | None:
        found = self._select(_RECORDS.where(TABLE.c.id == report_id))
        return found[0] if found else None

    def list(
        self,
        *,
        state: str | None = None,
        oldest_first: bool = False,
        limit: int = 200,
        after: tuple[datetime, str] | None = None,
    ) -> tuple[ReportRecord, ...]:
        statement = _RECORDS if state is None else _RECORDS.where(TABLE.c.state == state)
        if after is not None:
            created, last_id = after
            same_moment = sa.and_(TABLE.c.created == created, TABLE.c.id > last_id)
            statement = statement.where(sa.or_(TABLE.c.created < created, same_moment))
        order = TABLE.c.created.asc() if oldest_first else TABLE.c.created.desc()
        return self._select(statement.order_by(order, TABLE.c.id).limit(limit))

    def _select(self, statement: sa.Select[Any]) -> tuple[ReportRecord, ...]:
        with self._database.reading() as connection:
            return tuple(ReportRecord(**row) for row in connection.execute(statement).mappings())

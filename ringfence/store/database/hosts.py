"""What each host last said of itself."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from ringfence.store.database.connection import Database, insert
from ringfence.store.database.tables import HOSTS as TABLE
from ringfence.store.state import HostStatus


class HostTable:
    """`Hosts`, in order of name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def report(self, status: HostStatus) -> None:
        with self._database.writing() as connection:
            statement = insert(connection, TABLE).values(
                host=status.host, reported=status.at, facts=dict(status.facts), first_heard=status.at
            )
            latest = {name: statement.excluded[name] for name in ("reported", "facts")}
            back = {"retired": None, "retired_reason": ""}
            connection.execute(statement.on_conflict_do_update(index_elements=["host"], set_=latest | back))

    def retire(self, host: str, *, at: datetime, reason: str) -> bool:
        changed = TABLE.update().where(TABLE.c.host == host).values(retired=at, retired_reason=reason)
        with self._database.writing() as connection:
            return connection.execute(changed).rowcount > 0

    def list(self) -> tuple[HostStatus, ...]:
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(TABLE).order_by(TABLE.c.host)).all()
        return tuple(
            HostStatus(
                host=row.host,
                at=row.reported,
                facts=row.facts,
                first_heard=row.first_heard,
                retired=row.retired,
                retired_reason=row.retired_reason,
            )
            for row in rows
        )

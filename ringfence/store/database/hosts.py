"""What each host last said of itself."""

from __future__ import annotations

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
            connection.execute(statement.on_conflict_do_update(index_elements=["host"], set_=latest))

    def list(self) -> tuple[HostStatus, ...]:
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(TABLE).order_by(TABLE.c.host)).all()
        return tuple(
            HostStatus(host=row.host, at=row.reported, facts=row.facts, first_heard=row.first_heard) for row in rows
        )

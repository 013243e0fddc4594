"""Up to when records were deleted because of their age."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from ringfence.store.database.connection import Database, insert
from ringfence.store.database.tables import DELETIONS as TABLE


class DeletionTable:
    """`Deletions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, *, what: str, before: datetime) -> None:
        with self._database.writing() as connection:
            statement = insert(connection, TABLE).values(what=what, deleted_before=before)
            later = statement.excluded.deleted_before
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["what"], set_={"deleted_before": later}, where=TABLE.c.deleted_before < later
                )
            )

    def before(self, what: str) -> datetime | None:
        with self._database.reading() as connection:
            return connection.execute(sa.select(TABLE.c.deleted_before).where(TABLE.c.what == what)).scalar()

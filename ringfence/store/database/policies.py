"""Policy revisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ringfence.errors import Conflict
from ringfence.store.database.connection import Database
from ringfence.store.database.tables import POLICY_REVISIONS as TABLE
from ringfence.store.state import PolicyRevision

ATTEMPTS = 20
"""Tries against others who apply at the same moment, when the caller did not ask for a certain revision."""

STORABLE = range(2**63)
"""Numbers that the column holds; drivers refuse others with errors of their own."""


class PolicyTable:
    """`PolicyHistory`: revisions are only ever added."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> PolicyRevision:
        with self._database.reading() as connection:
            return _revision(connection.execute(sa.select(TABLE).order_by(TABLE.c.revision.desc()).limit(1)).one())

    def get(self, revision: int) -> PolicyRevision | None:
        if revision not in STORABLE:
            return None
        with self._database.reading() as connection:
            row = connection.execute(sa.select(TABLE).where(TABLE.c.revision == revision)).one_or_none()
        return _revision(row) if row else None

    def list(self, *, limit: int = 100, before: int | None = None) -> tuple[PolicyRevision, ...]:
        statement = sa.select(TABLE).order_by(TABLE.c.revision.desc()).limit(limit)
        if before is not None and before in STORABLE:
            statement = statement.where(TABLE.c.revision < before)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return tuple(_revision(row) for row in rows)

    def apply(
        self, *, text: str, author: str, reason: str, at: datetime, expected: int | None = None
    ) -> PolicyRevision:
        for _ in range(ATTEMPTS):
            current = self.current().revision
            if expected is not None and expected != current:
                break
            new = PolicyRevision(revision=current + 1, text=text, author=author, reason=reason, applied=at)
            try:
                with self._database.writing() as connection:
                    connection.execute(
                        TABLE.insert().values(
                            revision=new.revision, text=text, author=author, reason=reason, applied=at
                        )
                    )
            except sa.exc.IntegrityError:
                continue  # somebody else took this revision
            return new
        raise Conflict(
            f"the policy has changed meanwhile: revision {self.current().revision} is in force",
            hint="look at what changed, then apply again",
        )


def _revision(row: Any) -> PolicyRevision:
    return PolicyRevision(
        revision=row.revision, text=row.text, author=row.author, reason=row.reason, applied=row.applied
    )

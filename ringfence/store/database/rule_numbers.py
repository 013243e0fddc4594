"""Stable small numbers for rules."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ringfence.model.ruleset import FIRST_POLICY_RULE
from ringfence.model.verdict import Direction, RuleRef
from ringfence.store.database.connection import Database, insert
from ringfence.store.database.tables import RULE_NUMBERS as TABLE


class RuleNumberTable:
    """`RuleNumbers`: a number is never given to another rule, because recorded flows name it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[RuleRef, str], int] = {}

    def assign(self, ref: RuleRef, digest: str) -> int:
        key = (ref, digest)
        if key not in self._known:
            self._known[key] = self._find(ref, digest) or self._create(ref, digest)
        return self._known[key]

    def lookup(self, number: int) -> RuleRef | None:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(TABLE).where(TABLE.c.number == number)).one_or_none()
        if row is None:
            return None
        return RuleRef(tier=row.tier, policy=row.policy, direction=Direction(row.direction), index=row.position)

    def _find(self, ref: RuleRef, digest: str) -> int | None:
        with self._database.reading() as connection:
            row = connection.execute(_same(ref, digest)).one_or_none()
        return row[0] if row else None

    def _create(self, ref: RuleRef, digest: str) -> int:
        """Take the next number. Of two who do so at once, one inserts nothing and tries again."""
        while True:
            with self._database.writing() as connection:
                highest = connection.execute(sa.select(sa.func.max(TABLE.c.number))).scalar()
                statement = insert(connection, TABLE).values(
                    number=max(highest or 0, FIRST_POLICY_RULE - 1) + 1,
                    tier=ref.tier,
                    policy=ref.policy,
                    direction=ref.direction.value,
                    position=ref.index,
                    digest=digest,
                )
                connection.execute(statement.on_conflict_do_nothing())
            number = self._find(ref, digest)
            if number is not None:
                return number


def _same(ref: RuleRef, digest: str) -> sa.Select[Any]:
    return sa.select(TABLE.c.number).where(
        TABLE.c.tier == ref.tier,
        TABLE.c.policy == ref.policy,
        TABLE.c.direction == ref.direction.value,
        TABLE.c.position == ref.index,
        TABLE.c.digest == digest,
    )

"""Tokens."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from ringfence.store.database.connection import Database, put
from ringfence.store.database.tables import TOKENS as TABLE
from ringfence.store.state import Token


class TokenTable:
    """`Tokens`. Of a token only its digest is ever stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, token: Token) -> None:
        with self._database.writing() as connection:
            put(connection, TABLE, asdict(token))

    def take(self, *, digest: str, purpose: str, now: datetime, consume: bool) -> str | None:
        valid = sa.and_(TABLE.c.digest == digest, TABLE.c.purpose == purpose, TABLE.c.expires > now)
        if not consume:
            with self._database.reading() as connection:
                return connection.execute(sa.select(TABLE.c.subject).where(valid)).scalar_one_or_none()
        with self._database.writing() as connection:
            subject = connection.execute(TABLE.delete().where(valid).returning(TABLE.c.subject)).scalar_one_or_none()
            connection.execute(TABLE.delete().where(TABLE.c.expires <= now))
        return subject

    def list(self, *, purpose: str, now: datetime) -> tuple[Token, ...]:
        valid = sa.select(TABLE).where(TABLE.c.purpose == purpose, TABLE.c.expires > now)
        with self._database.reading() as connection:
            rows = connection.execute(valid.order_by(TABLE.c.expires.desc(), TABLE.c.digest)).mappings()
            return tuple(Token(**row) for row in rows)

"""Users and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ringfence.store.database.connection import Database, put
from ringfence.store.database.tables import TOKENS, USERS
from ringfence.store.state import Role, User


class UserTable:
    """`Users`. Of a token only its digest is ever stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, user: User) -> None:
        row = {
            "name": user.name,
            "role": user.role.value,
            "password_hash": user.password_hash,
            "session_epoch": user.session_epoch,
            "disabled": user.disabled,
        }
        with self._database.writing() as connection:
            put(connection, USERS, row)

    def get(self, name: str) -> User | None:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(USERS).where(USERS.c.name == name)).mappings().one_or_none()
        return _user(row) if row else None

    def list(self) -> tuple[User, ...]:
        with self._database.reading() as connection:
            return tuple(_user(row) for row in connection.execute(sa.select(USERS).order_by(USERS.c.name)).mappings())

    def add_token(self, *, digest: str, purpose: str, subject: str, expires: datetime) -> None:
        row = {"digest": digest, "purpose": purpose, "subject": subject, "expires": expires}
        with self._database.writing() as connection:
            put(connection, TOKENS, row)

    def take_token(self, *, digest: str, purpose: str, now: datetime, consume: bool) -> str | None:
        valid = sa.and_(TOKENS.c.digest == digest, TOKENS.c.purpose == purpose, TOKENS.c.expires > now)
        if not consume:
            with self._database.reading() as connection:
                return connection.execute(sa.select(TOKENS.c.subject).where(valid)).scalar_one_or_none()
        with self._database.writing() as connection:
            subject = connection.execute(TOKENS.delete().where(valid).returning(TOKENS.c.subject)).scalar_one_or_none()
            connection.execute(TOKENS.delete().where(TOKENS.c.expires <= now))
        return subject


def _user(row: Any) -> User:
    return User(**{**row, "role": Role(row["role"])})

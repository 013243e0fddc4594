"""Users."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ringfence.store.database.connection import Database, put
from ringfence.store.database.tables import USERS
from ringfence.store.state import Role, User


class UserTable:
    """`Users`."""

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


def _user(row: Any) -> User:
    return User(**{**row, "role": Role(row["role"])})

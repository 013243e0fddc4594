"""Quarantines: people and automation order and release, the enforcer says how it went."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ringfence.errors import Conflict
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.store.database.connection import Database
from ringfence.store.database.encoding import decode_access, decode_proof, encode_access, encode_proof
from ringfence.store.database.tables import QUARANTINES as TABLE

_ACTIVE = TABLE.c.state != QuarantineState.RELEASED.value
_NEWEST_FIRST = sa.select(TABLE).order_by(TABLE.c.created.desc(), TABLE.c.id)


class QuarantineTable:
    """`Quarantines`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, quarantine: Quarantine) -> None:
        try:
            with self._database.writing() as connection:
                connection.execute(TABLE.insert().values(_row(quarantine)))
        except sa.exc.IntegrityError as error:
            # Brought again by somebody who never heard that it was kept.
            if self.get(quarantine.id) is not None:
                return
            raise Conflict(f"{quarantine.workload_name} is in quarantine already") from error

    def wish_release(self, quarantine_id: str, *, at: datetime, by: str) -> bool:
        standing = (TABLE.c.id == quarantine_id, _ACTIVE, TABLE.c.released.is_(None))
        return self._update(*standing, released=at, released_by=by)

    def settle(self, quarantine: Quarantine) -> bool:
        standing = [TABLE.c.id == quarantine.id, _ACTIVE]
        if quarantine.active:
            standing.append(TABLE.c.released.is_(None))
        return self._update(
            *standing,
            state=quarantine.state.value,
            proof=encode_proof(quarantine.proof),
            connections_cut=quarantine.connections_cut,
        )

    def get(self, quarantine_id: str) -> Quarantine | None:
        found = self._select(_NEWEST_FIRST.where(TABLE.c.id == quarantine_id))
        return found[0] if found else None

    def active(self) -> tuple[Quarantine, ...]:
        return self._select(_NEWEST_FIRST.where(_ACTIVE))

    def list(self, *, limit: int = 200, after: tuple[datetime, str] | None = None) -> tuple[Quarantine, ...]:
        statement = _NEWEST_FIRST.limit(limit)
        if after is not None:
            created, last_id = after
            same_moment = sa.and_(TABLE.c.created == created, TABLE.c.id > last_id)
            statement = statement.where(sa.or_(TABLE.c.created < created, same_moment))
        return self._select(statement)

    def _select(self, statement: sa.Select[Any]) -> tuple[Quarantine, ...]:
        with self._database.reading() as connection:
            return tuple(_quarantine(row) for row in connection.execute(statement).mappings())

    def _update(self, *standing: sa.ColumnElement[bool], **values: Any) -> bool:
        with self._database.writing() as connection:
            return connection.execute(TABLE.update().where(*standing).values(values)).rowcount > 0


def _row(item: Quarantine) -> dict[str, Any]:
    return {
        "id": item.id,
        "workload": item.workload,
        "workload_name": item.workload_name,
        "host": item.host,
        "state": item.state.value,
        "reason": item.reason,
        "author": item.author,
        "created": item.created,
        "expires": item.expires,
        "access": encode_access(item.access),
        "proof": encode_proof(item.proof),
        "released": item.released,
        "released_by": item.released_by,
        "connections_cut": item.connections_cut,
        "finding": item.finding,
    }


def _quarantine(row: Any) -> Quarantine:
    return Quarantine(
        **{
            **row,
            "state": QuarantineState(row["state"]),
            "access": decode_access(row["access"]),
            "proof": decode_proof(row["proof"]),
        }
    )

"""What is in force for each workload."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ringfence.model.enforcement import Enforcement, EnforcementState
from ringfence.store.database.connection import Database, put
from ringfence.store.database.encoding import decode_checks, encode_checks
from ringfence.store.database.tables import ENFORCEMENTS as TABLE


class EnforcementTable:
    """`Enforcements`, in order of workload."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, enforcement: Enforcement) -> None:
        row = {
            "workload": enforcement.workload,
            "host": enforcement.host,
            "state": enforcement.state.value,
            "digest": enforcement.digest,
            "since": enforcement.since,
            "verified": enforcement.verified,
            "reason": enforcement.reason,
            "checks": encode_checks(enforcement.checks),
            "drifts": enforcement.drifts,
            "last_drift": enforcement.last_drift,
        }
        with self._database.writing() as connection:
            put(connection, TABLE, row)

    def get(self, workload: str) -> Enforcement | None:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(TABLE).where(TABLE.c.workload == workload)).mappings().one_or_none()
        return _enforcement(row) if row else None

    def list(self) -> tuple[Enforcement, ...]:
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(TABLE).order_by(TABLE.c.workload)).mappings()
            return tuple(_enforcement(row) for row in rows)


def _enforcement(row: Any) -> Enforcement:
    return Enforcement(**{**row, "state": EnforcementState(row["state"]), "checks": decode_checks(row["checks"])})

"""Findings, merged by key."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ringfence.errors import Conflict, NotFound
from ringfence.model.finding import Finding, FindingKind, FindingState, Severity
from ringfence.store.database.connection import Database, insert
from ringfence.store.database.tables import FINDINGS as TABLE

RANKS = {severity: rank for rank, severity in enumerate(Severity)}
MAX_FLOWS = 20
"""Ids of evidence kept with one finding: the first ones."""


class FindingTable:
    """`Findings`. A finding takes repetitions in until it is resolved, also while acknowledged or suppressed.

    A suppressed one becomes open again with the first repetition after `suppressed_until`, a resolved one when it comes
    again under the same id.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, finding: Finding) -> tuple[Finding, bool]:
        while True:
            with self._database.writing() as connection:
                statement = insert(connection, TABLE).values(_row(finding)).on_conflict_do_nothing()
                if connection.execute(statement.returning(TABLE.c.id)).first() is not None:
                    return finding, True
                same = sa.or_(TABLE.c.live_key == finding.key, TABLE.c.id == finding.id)
                live_first = sa.select(TABLE).where(same).order_by(TABLE.c.live_key.is_(None)).with_for_update()
                row = connection.execute(live_first).mappings().first()
                if row is not None:
                    stored = _finding(row)
                    merged = _merge(stored, finding)
                    connection.execute(TABLE.update().where(TABLE.c.id == merged.id).values(_row(merged)))
                    return merged, stored.state is FindingState.RESOLVED
            # It was resolved between the two statements: there is room for a new one now.

    def get(self, finding_id: str) -> Finding | None:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(TABLE).where(TABLE.c.id == finding_id)).mappings().one_or_none()
        return _finding(row) if row else None

    def list(
        self,
        *,
        state: FindingState | None = None,
        limit: int = 200,
        after: tuple[Severity, datetime, str] | None = None,
    ) -> tuple[Finding, ...]:
        statement = sa.select(TABLE).order_by(TABLE.c.rank.desc(), TABLE.c.last_seen.desc(), TABLE.c.id)
        if state is not None:
            statement = statement.where(TABLE.c.state == state.value)
        if after is not None:
            statement = statement.where(_behind(*after))
        with self._database.reading() as connection:
            rows = connection.execute(statement.limit(limit)).mappings()
            return tuple(_finding(row) for row in rows)

    def counts(self) -> Mapping[str, int]:
        statement = (
            sa.select(TABLE.c.severity, sa.func.count())
            .where(TABLE.c.state == FindingState.OPEN.value)
            .group_by(TABLE.c.severity)
        )
        with self._database.reading() as connection:
            found = {row[0]: row[1] for row in connection.execute(statement)}
        return {severity.value: found.get(severity.value, 0) for severity in Severity}

    def update(self, finding: Finding) -> None:
        """Replace what people and automation decide; what was observed meanwhile is kept.

        Raises:
            NotFound: no such finding.
            Conflict: it would be open again, and another one of the same key is.
        """
        try:
            with self._database.writing() as connection:
                same = sa.select(TABLE).where(TABLE.c.id == finding.id).with_for_update()
                row = connection.execute(same).mappings().one_or_none()
                if row is None:
                    raise NotFound(f"there is no finding {finding.id}")
                stored = _finding(row)
                new = dataclasses.replace(
                    finding,
                    count=max(finding.count, stored.count),
                    flows=_evidence(stored, finding),
                    first_seen=min(finding.first_seen, stored.first_seen),
                    last_seen=max(finding.last_seen, stored.last_seen),
                )
                connection.execute(TABLE.update().where(TABLE.c.id == finding.id).values(_row(new)))
        except sa.exc.IntegrityError as error:
            raise Conflict(f"another finding for {finding.key} is open") from error


def _behind(severity: Severity, last_seen: datetime, finding_id: str) -> sa.ColumnElement[bool]:
    """Findings that stand behind this position in the order of the list."""
    rank = RANKS[severity]
    same_moment = sa.and_(TABLE.c.rank == rank, TABLE.c.last_seen == last_seen, TABLE.c.id > finding_id)
    return sa.or_(TABLE.c.rank < rank, sa.and_(TABLE.c.rank == rank, TABLE.c.last_seen < last_seen), same_moment)


def _evidence(first: Finding, second: Finding) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first.flows, *second.flows)))[:MAX_FLOWS]


def _merge(stored: Finding, new: Finding) -> Finding:
    woken = stored.state is FindingState.RESOLVED or (
        stored.state is FindingState.SUPPRESSED
        and stored.suppressed_until is not None
        and new.last_seen > stored.suppressed_until
    )
    return dataclasses.replace(
        stored,
        severity=max(stored.severity, new.severity, key=RANKS.__getitem__),
        sentence=new.sentence,
        count=stored.count + new.count,
        flows=_evidence(stored, new),
        first_seen=min(stored.first_seen, new.first_seen),
        last_seen=max(stored.last_seen, new.last_seen),
        state=FindingState.OPEN if woken else stored.state,
        suppressed_until=None if woken else stored.suppressed_until,
        response=stored.response or new.response,
    )


def _row(item: Finding) -> dict[str, Any]:
    return {
        **{spec.name: getattr(item, spec.name) for spec in dataclasses.fields(item)},
        "kind": item.kind.value,
        "severity": item.severity.value,
        "state": item.state.value,
        "flows": [*item.flows[:MAX_FLOWS]],
        "rank": RANKS[item.severity],
        "live_key": None if item.state is FindingState.RESOLVED else item.key,
    }


def _finding(row: Any) -> Finding:
    values = {name: value for name, value in row.items() if name not in ("rank", "live_key")}
    return Finding(
        **{
            **values,
            "kind": FindingKind(row["kind"]),
            "severity": Severity(row["severity"]),
            "state": FindingState(row["state"]),
            "flows": tuple(row["flows"]),
        }
    )

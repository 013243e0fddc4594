"""Stable small numbers for rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

import sqlalchemy as sa

from ringfence.errors import RingfenceError
from ringfence.model.ruleset import FIRST_POLICY_RULE, LAST_POLICY_RULE
from ringfence.model.verdict import Direction, RuleRef
from ringfence.store.database.connection import Database
from ringfence.store.database.tables import RULE_NUMBERS as TABLE

REST = timedelta(days=30)
"""How long a number that is out of force is kept: marked connections may outlive their rule, flows name it by then."""

Rules = Sequence[tuple[RuleRef, str]]
Key = tuple[str, str, str, str]


class RuleNumberTable:
    """`RuleNumbers`."""

    def __init__(self, database: Database, *, last: int = LAST_POLICY_RULE) -> None:
        self._database, self._last = database, last

    def check(self, rules: Rules, *, at: datetime) -> None:
        with self._database.reading() as connection:
            _plan(_rows(connection), rules, at, self._last)

    def assign(self, rules: Rules, *, at: datetime) -> Mapping[RuleRef, int]:
        with self._database.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE rule_numbers IN SHARE ROW EXCLUSIVE MODE"))
            plan = _plan(_rows(connection), rules, at, self._last)
            _write(connection, plan)
        return plan.numbers

    def lookup(self, number: int) -> RuleRef | None:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(TABLE).where(TABLE.c.number == number)).one_or_none()
        if row is None:
            return None
        return RuleRef(tier=row.tier, policy=row.policy, direction=Direction(row.direction), index=row.position)


@dataclass(slots=True)
class _Plan:
    """`numbers` is the answer; `changed` are rows to write, `dropped` numbers whose row must go first."""

    numbers: dict[RuleRef, int] = field(default_factory=dict)
    changed: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)


def _plan(rows: Iterable[Any], rules: Rules, at: datetime, last: int) -> _Plan:
    plan, new = _Plan(), list[tuple[RuleRef, str]]()
    known: dict[Key, Any] = {}
    for row in rows:
        if row.number <= last:
            known[row.tier, row.policy, row.direction, row.digest] = row
        else:  # given when the mark had more bits
            plan.dropped.append(row.number)
    for ref, digest in rules:
        row = known.pop(_key(ref, digest), None)
        if row is None:
            new.append((ref, digest))
            continue
        plan.numbers[ref] = row.number
        if row.position != ref.index or row.retired is not None:
            plan.changed.append(_row(row.number, ref, digest))
    resting = sorted((row.retired, row.number) for row in known.values() if row.retired is not None)
    rested = [number for retired, number in resting if retired <= at - REST]
    highest = max((*plan.numbers.values(), *(row.number for row in known.values())), default=FIRST_POLICY_RULE - 1)
    free = [*chain(range(highest + 1, last + 1), rested)][: len(new)]
    if len(free) < len(new):
        raise RingfenceError(
            f"the policy needs {len(new)} new rule numbers, and {len(free)} of {last - FIRST_POLICY_RULE + 1} are free",
            hint=f"numbers of rules out of force become free after {REST.days} days; change fewer rules at once, "
            "or give enforce.mark_mask more bits",
        )
    plan.dropped += [number for number in free if number <= highest]
    for number, (ref, digest) in zip(free, new, strict=True):
        plan.numbers[ref] = number
        plan.changed.append(_row(number, ref, digest))
    plan.changed += [{**row._mapping, "retired": at} for row in known.values() if row.retired is None]
    return plan


def _write(connection: sa.Connection, plan: _Plan) -> None:
    written = [*plan.dropped, *(row["number"] for row in plan.changed)]
    if not plan.changed:
        return
    connection.execute(TABLE.delete().where(TABLE.c.number == sa.bindparam("gone")), [{"gone": n} for n in written])
    connection.execute(TABLE.insert(), plan.changed)


def _rows(connection: sa.Connection) -> Sequence[Any]:
    return connection.execute(sa.select(TABLE)).all()


def _key(ref: RuleRef, digest: str) -> Key:
    return ref.tier, ref.policy, ref.direction.value, digest


def _row(number: int, ref: RuleRef, digest: str) -> dict[str, Any]:
    return {
        "number": number,
        "tier": ref.tier,
        "policy": ref.policy,
        "direction": ref.direction.value,
        "position": ref.index,
        "digest": digest,
        "retired": None,
    }

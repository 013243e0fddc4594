"""Quarantines in the state store, over SQLite and a real PostgreSQL: who writes what, and who may write at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ringfence.errors import Conflict
from ringfence.model.policy import PortInterval, Service
from ringfence.model.quarantine import Check, ControlledAccess, Proof, Quarantine, QuarantineState
from ringfence.model.verdict import Direction, RuleRef
from ringfence.store.database.connection import connect
from ringfence.store.state import State
from tests.support.states import Open, at_once

NOW = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def quarantine(id_: str = "q1", **values: Any) -> Quarantine:
    return Quarantine(
        **{
            "id": id_,
            "workload": "w",
            "workload_name": "web",
            "host": "h1",
            "state": QuarantineState.APPLYING,
            "reason": "scans",
            "author": "ann",
            "created": NOW,
            "expires": NOW + 3600 * SECOND,
            **values,
        }
    )


def test_a_quarantine_comes_back_whole(state: State) -> None:
    service = Service(protocol=6, ports=(PortInterval(first=22, last=22), PortInterval(first=80, last=90)))
    access = tuple(
        ControlledAccess(direction=direction, network=ip_network(network), service=service)
        for direction, network in ((Direction.INGRESS, "10.0.0.0/8"), (Direction.EGRESS, "fd00::/64"))
    )
    saved = quarantine(
        access=access,
        proof=PROOF,
        state=QuarantineState.RELEASED,
        released=NOW,
        released_by="bob",
        connections_cut=3,
        finding="f1",
    )
    state.quarantines.add(saved)
    assert state.quarantines.get("q1") == saved
    assert state.quarantines.get("q2") is None


def test_released_quarantines_are_listed_but_not_active(state: State) -> None:
    old = quarantine("old", created=NOW - SECOND, state=QuarantineState.RELEASED)
    new = quarantine("new", state=QuarantineState.FAILED)
    state.quarantines.add(old)
    state.quarantines.add(new)
    assert state.quarantines.active() == (new,)
    assert state.quarantines.list() == (new, old)
    assert state.quarantines.list(limit=1) == (new,)


def test_a_list_of_quarantines_continues_after_any_of_them(state: State) -> None:
    moments = [("b", NOW), ("a", NOW), ("z", NOW - SECOND), ("c", NOW)]
    for name, created in moments:
        state.quarantines.add(quarantine(name, workload=f"w-{name}", created=created))
    order = [item.id for item in state.quarantines.list()]
    assert order == ["a", "b", "c", "z"]
    for index, item in enumerate(state.quarantines.list()):
        after = state.quarantines.list(after=(item.created, item.id))
        assert [one.id for one in after] == order[index + 1 :]


PROOF = Proof(at=NOW, checks=(Check(name="probe from inside", passed=True, detail="no answer"),))


def test_how_an_order_went_never_overwrites_the_wish_to_end_it(state: State) -> None:
    state.quarantines.add(quarantine())
    assert state.quarantines.wish_release("q1", at=NOW, by="bob")
    assert not state.quarantines.settle(quarantine(state=QuarantineState.VERIFIED, proof=PROOF, connections_cut=2))
    assert state.quarantines.get("q1") == quarantine(released=NOW, released_by="bob")


def test_the_first_wish_to_end_an_order_counts(state: State) -> None:
    state.quarantines.add(quarantine())
    assert state.quarantines.wish_release("q1", at=NOW, by="bob")
    assert not state.quarantines.wish_release("q1", at=NOW + SECOND, by="expiry")
    assert not state.quarantines.wish_release("q2", at=NOW, by="bob")
    assert state.quarantines.get("q1") == quarantine(released=NOW, released_by="bob")


def test_what_ended_stays_ended(state: State) -> None:
    state.quarantines.add(quarantine(reason="first"))
    found = quarantine(reason="a stale copy", state=QuarantineState.VERIFIED, proof=PROOF, connections_cut=2)
    assert state.quarantines.settle(found)
    ended = replace(found, state=QuarantineState.RELEASED)
    state.quarantines.wish_release("q1", at=NOW, by="bob")
    assert state.quarantines.settle(ended)
    assert not state.quarantines.settle(found)
    assert not state.quarantines.settle(ended)
    assert not state.quarantines.wish_release("q1", at=NOW + SECOND, by="ann")
    assert state.quarantines.get("q1") == replace(ended, reason="first", released=NOW, released_by="bob")


def test_of_many_who_order_for_one_workload_at_once_one_succeeds(open_another: Open) -> None:
    states = [open_another() for _ in range(4)]

    def order(number: int) -> bool:
        try:
            states[number].quarantines.add(quarantine(f"q{number}"))
        except Conflict:
            return False
        return True

    assert sorted(at_once(4, order)) == [False, False, False, True]
    (standing,) = states[0].quarantines.active()
    states[0].quarantines.settle(replace(standing, state=QuarantineState.RELEASED))
    states[0].quarantines.add(quarantine("q9"))


def test_an_order_that_is_brought_again_is_no_conflict(state: State) -> None:
    first = quarantine("q1")
    state.quarantines.add(first)
    state.quarantines.add(first)
    assert state.quarantines.list() == (first,)
    with pytest.raises(Conflict):
        state.quarantines.add(quarantine("q2"))
    released = replace(first, state=QuarantineState.RELEASED)
    state.quarantines.settle(released)
    state.quarantines.add(first)
    assert state.quarantines.list() == (released,), "what happened to it since stands"
    assert state.quarantines.active() == ()


def test_what_a_former_version_allowed_twice_is_brought_in_order(
    target: str | Path, state: State, open_another: Open
) -> None:
    database = connect(target)
    for number, created in enumerate((NOW, NOW + SECOND)):
        state.quarantines.add(quarantine(f"q{number}", workload=f"w{number}", created=created))
    with database.writing() as connection:
        connection.execute(sa.text("DROP INDEX uq_quarantines_active"))
        connection.execute(sa.text("UPDATE quarantines SET workload = 'w'"))
        connection.execute(sa.text("DROP TABLE rule_numbers"))
        connection.execute(
            sa.text(
                "CREATE TABLE rule_numbers (number BIGINT NOT NULL, tier TEXT NOT NULL, policy TEXT NOT NULL, "
                "direction TEXT NOT NULL, position BIGINT NOT NULL, digest TEXT NOT NULL, "
                "CONSTRAINT pk_rule_numbers PRIMARY KEY (number), "
                "CONSTRAINT uq_rule_numbers_rule UNIQUE (tier, policy, direction, position, digest))"
            )
        )
        for number in (16, 17):
            connection.execute(
                sa.text("INSERT INTO rule_numbers VALUES (:number, 'application', 'db', 'ingress', :number, 'a')"),
                {"number": number},
            )
        later = {"reports": ("progress", "step", "claims"), "hosts": ("retired", "retired_reason")}
        for table, column in ((table, column) for table, columns in later.items() for column in columns):
            connection.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0003'"))
    database.close()
    again = open_another()
    rule = RuleRef(tier="application", policy="db", direction=Direction.INGRESS, index=0)
    assert [item.id for item in again.quarantines.active()] == ["q1"]
    assert len(again.quarantines.list()) == 2
    assert again.rule_numbers.assign([(rule, "a")], at=NOW) == {rule: 17}

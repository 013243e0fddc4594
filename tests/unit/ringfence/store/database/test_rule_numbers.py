from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ringfence.errors import RingfenceError
from ringfence.model.ruleset import FIRST_POLICY_RULE
from ringfence.model.verdict import Direction, RuleRef
from ringfence.store.database.connection import Database, connect
from ringfence.store.database.opening import migrate
from ringfence.store.database.rule_numbers import REST, RuleNumberTable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FEW = FIRST_POLICY_RULE + 3
"""Room for four rules."""


@pytest.fixture
def database() -> Iterator[Database]:
    database = connect("sqlite://")
    with database.writing() as connection:
        migrate(connection)
    yield database
    database.close()


def rules(*digests: str) -> list[tuple[RuleRef, str]]:
    return [
        (RuleRef(tier="t", policy="p", direction=Direction.INGRESS, index=index), digest)
        for index, digest in enumerate(digests)
    ]


def test_numbers_begin_after_the_products_own_and_outlive_the_object(database: Database) -> None:
    for _ in range(2):
        numbers = RuleNumberTable(database).assign(rules("a", "b"), at=NOW)
        assert list(numbers.values()) == [FIRST_POLICY_RULE, FIRST_POLICY_RULE + 1]
    assert RuleNumberTable(database).lookup(FIRST_POLICY_RULE + 1) == rules("a", "b")[1][0]


def test_a_rule_put_first_takes_one_number_and_not_one_for_each_that_follows(database: Database) -> None:
    table = RuleNumberTable(database)
    many = [str(number) for number in range(100)]
    before = table.assign(rules(*many), at=NOW)
    after = table.assign(rules("new", *many), at=NOW)
    assert max(after.values()) == max(before.values()) + 1


def test_when_numbers_run_out_it_is_said_and_nothing_changes(database: Database) -> None:
    table = RuleNumberTable(database, last=FEW)
    before = table.assign(rules("a", "b", "c"), at=NOW)
    for attempt in (table.check, table.assign):
        with pytest.raises(RingfenceError, match="needs 2 new rule numbers, and 1 of 4 are free"):
            attempt(rules("d", "e"), at=NOW)
    assert table.assign(rules("a", "b", "c"), at=NOW) == before


def test_a_number_is_given_to_another_rule_when_it_rested_long_enough(database: Database) -> None:
    table = RuleNumberTable(database, last=FEW)
    first = table.assign(rules("a", "b", "c", "d"), at=NOW)
    table.assign(rules("b", "c", "d"), at=NOW)
    with pytest.raises(RingfenceError):
        table.check(rules("e", "b", "c", "d"), at=NOW + REST - timedelta(seconds=1))
    again = table.assign(rules("e", "b", "c", "d"), at=NOW + REST)
    assert again == first
    with pytest.raises(RingfenceError):
        table.check(rules("a", "b", "c", "d"), at=NOW + REST)


def test_a_number_that_came_back_into_force_does_not_rest(database: Database) -> None:
    table = RuleNumberTable(database, last=FEW)
    for step, digests in enumerate([("a", "b", "c", "d"), ("b", "c", "d"), ("a", "b", "c", "d")]):
        table.assign(rules(*digests), at=NOW + step * timedelta(days=1))
    with pytest.raises(RingfenceError):
        table.check(rules("e", "b", "c", "d"), at=NOW + REST + timedelta(days=1))


def test_numbers_from_before_the_mark_had_fewer_bits_are_given_anew(database: Database) -> None:
    RuleNumberTable(database).assign(rules("a", "b", "c", "d", "e", "f"), at=NOW)
    with pytest.raises(RingfenceError, match="are free"):
        RuleNumberTable(database, last=FEW).check(rules("a", "f", "g", "h", "i"), at=NOW)
    later = NOW + REST
    RuleNumberTable(database).assign(rules("e", "f"), at=NOW)
    numbers = RuleNumberTable(database, last=FEW).assign(rules("e", "f"), at=later)
    assert sorted(numbers.values()) == [FIRST_POLICY_RULE, FIRST_POLICY_RULE + 1]

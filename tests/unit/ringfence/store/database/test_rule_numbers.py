from __future__ import annotations

from ringfence.model.ruleset import FIRST_POLICY_RULE
from ringfence.model.verdict import Direction, RuleRef
from ringfence.store.database.connection import connect
from ringfence.store.database.opening import migrate
from ringfence.store.database.rule_numbers import RuleNumberTable


def test_numbers_begin_after_the_products_own_and_outlive_the_object() -> None:
    database = connect("sqlite://")
    with database.writing() as connection:
        migrate(connection)
    refs = [RuleRef(tier="t", policy="p", direction=direction, index=0) for direction in Direction]
    numbers = [RuleNumberTable(database).assign(ref, "d") for ref in refs * 2]
    assert numbers == [FIRST_POLICY_RULE, FIRST_POLICY_RULE + 1] * 2
    assert RuleNumberTable(database).lookup(FIRST_POLICY_RULE + 1) == refs[1]
    database.close()

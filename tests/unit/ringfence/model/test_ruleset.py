from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.model.ruleset import (
    FIRST_POLICY_RULE,
    QUARANTINE_RULE,
    Ruleset,
    RulesetRule,
    last_rule_of,
    log_prefix,
    mark_of,
    number_of,
    parse_log_prefix,
)
from ringfence.model.verdict import Direction, Mode, RuleRef

DEFAULT_MASK = 0x00FFFF00


@given(st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), st.sampled_from([DEFAULT_MASK, 0xFFFF, 0xFFFF0000]))
def test_a_number_survives_in_the_mark_beside_the_bits_of_others(number: int, others: int, mask: int) -> None:
    assert number_of(mark_of(number, mask) | (others & ~mask), mask) == number


def test_a_number_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        mark_of(0x10000, DEFAULT_MASK)


@pytest.mark.parametrize(("mask", "last"), [(DEFAULT_MASK, 0xFFFF), (0xFF00, 0xFF), (0xF, 15), (0xFFFFFF, 0xFFFF)])
def test_the_last_rule_number_fits_the_mask(mask: int, last: int) -> None:
    assert last_rule_of(mask) == last
    assert number_of(mark_of(last, mask), mask) == last


@given(st.integers(0, 2**31), st.sampled_from(Direction), st.integers(0, 255))
def test_a_log_prefix_is_read_back(number: int, direction: Direction, slot: int) -> None:
    assert len(log_prefix(number, direction, slot)) <= 63  # NFLOG's limit
    assert parse_log_prefix(log_prefix(number, direction, slot)) == (number, direction, slot)


@pytest.mark.parametrize(
    "text", ["", "rf", "rf:i", "rf:x:1", "rf:i:-1", "rf:i:x", "rf:i:1:2", "rf:i:1@", "rf:i:1@0", "xx:i:1"]
)
def test_a_foreign_log_prefix_is_not_ours(text: str) -> None:
    assert parse_log_prefix(text) is None


def test_the_digest_is_that_of_the_rules_and_not_of_the_workload() -> None:
    ref = RuleRef(tier="t", policy="p", direction=Direction.INGRESS, index=0)
    rule = RulesetRule(number=FIRST_POLICY_RULE, ref=ref, allow=True)
    one = Ruleset(workload="a", mode=Mode.PROTECT, ingress=(rule,), egress=())
    assert replace(one, workload="b").digest == one.digest
    assert replace(one, mode=Mode.MONITOR).digest != one.digest
    assert replace(one, ingress=(), egress=(rule,)).digest != one.digest


def test_rules_are_given_by_direction() -> None:
    ref = RuleRef(tier="t", policy="p", direction=Direction.EGRESS, index=0)
    rule = RulesetRule(number=QUARANTINE_RULE, ref=ref, allow=False)
    ruleset = Ruleset(workload="a", mode=Mode.PROTECT, ingress=(), egress=(rule,))
    assert ruleset.rules(Direction.EGRESS) == (rule,)
    assert ruleset.rules(Direction.INGRESS) == ()

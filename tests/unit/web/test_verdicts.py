"""How a verdict is shown."""

from __future__ import annotations

import pytest

from ringfence.store.filter.parser import parse_filter
from ringfence.store.filter.predicate import to_predicate
from tests.support.estate import flow_row
from web.verdicts import TERMS, Shown, of_counts, only, shown

ROWS = {
    Shown.ALLOWED: flow_row(1, staged="allowed"),
    Shown.DENIED: flow_row(2, enforced="denied", rule="application/db/ingress/0"),
    Shown.STAGED: flow_row(3, staged="denied"),
    Shown.QUARANTINED: flow_row(4, enforced="denied", rule="quarantine/ingress/default"),
    Shown.UNKNOWN: flow_row(5, enforced=None),
}


@pytest.mark.parametrize("kind", Shown)
def test_each_kind_of_flow_is_shown_as_what_it_is(kind: Shown) -> None:
    assert shown(ROWS[kind]) is kind


@pytest.mark.parametrize("kind", Shown)
def test_the_filter_of_a_kind_finds_it(kind: Shown) -> None:
    assert to_predicate(parse_filter(TERMS[kind]))(ROWS[kind])


def test_a_verdict_narrows_the_filter_and_takes_the_place_of_another() -> None:
    assert only("dst.name: db", Shown.DENIED) == "dst.name: db and verdict: denied"
    assert only("verdict: denied and dst.name: db", Shown.STAGED) == f"dst.name: db and {TERMS[Shown.STAGED]}"
    assert only(TERMS[Shown.STAGED], Shown.STAGED) == TERMS[Shown.STAGED]
    assert only("a: 1 or b: 2", Shown.UNKNOWN) == "(a: 1 or b: 2) and not verdict: *"
    assert only("", Shown.ALLOWED) == "verdict: allowed"


def test_a_group_is_shown_by_the_worst_in_it() -> None:
    assert of_counts(5, 1, 1) is Shown.DENIED
    assert of_counts(5, 0, 1) is Shown.STAGED
    assert of_counts(5, 0, 0) is Shown.ALLOWED
    assert of_counts(0, 0, 0) is Shown.UNKNOWN

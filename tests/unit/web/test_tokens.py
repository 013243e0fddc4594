"""Filter text as tokens: split, joined, negated, quoted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.model.filter import Term
from ringfence.store.filter.parser import parse_filter
from web import tokens


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("verdict: denied", ("verdict: denied",)),
        ("verdict: denied and dst.name: db", ("verdict: denied", "dst.name: db")),
        ("a: 1 && b: 2", ("a: 1", "b: 2")),
        ("a: 1 or b: 2", ("a: 1 or b: 2",)),
        ("a: 1 and (b: 2 or c: 3)", ("a: 1", "(b: 2 or c: 3)")),
        ('src.name: "x and y" and b: 2', ('src.name: "x and y"', "b: 2")),
        ("and", ("and",)),
        ("a: 1 and", ("a: 1 and",)),
        ("", ()),
    ],
)
def test_a_conjunction_falls_into_its_parts_and_nothing_else_does(text: str, parts: tuple[str, ...]) -> None:
    assert tokens.split(text) == parts


@pytest.mark.parametrize("token", ["a: 1", "(b: 2 or c: 3)", "not a: 1", "b: 2 or c: 3", "a: 1 and b: 2"])
def test_the_opposite_of_the_opposite_is_the_token(token: str) -> None:
    once = tokens.negated(token)
    assert once != token
    assert tokens.negated(once).strip("()") == token.strip("()")


def test_a_disjunction_keeps_its_meaning_beside_others() -> None:
    assert tokens.with_token("a: 1 or b: 2", "c: 3") == "(a: 1 or b: 2) and c: 3"


def test_narrowing_by_the_opposite_replaces_it() -> None:
    assert tokens.with_token("a: 1 and not b: 2", "b: 2") == "a: 1 and b: 2"
    assert tokens.with_token("a: 1", "a: 1") == "a: 1"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_a_quoted_value_is_taken_literally(value: str) -> None:
    parsed = parse_filter(tokens.term("src.name", value))
    assert isinstance(parsed, Term)
    assert tokens.split(tokens.term("src.name", value)) == (tokens.term("src.name", value),)

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.store.filter.pattern import compiled, has_wildcard, like, literal, quote, wildcard


@given(st.text())
def test_a_quoted_text_matches_itself_alone(text: str) -> None:
    assert literal(quote(text)) == text
    assert not has_wildcard(quote(text))
    assert compiled(quote(text)).fullmatch(text)
    assert not compiled(quote(text)).fullmatch(text + "x")


@given(st.text(), st.text(), st.text())
def test_a_star_stands_for_anything(before: str, middle: str, after: str) -> None:
    pattern = f"{quote(before)}*{quote(after)}"
    assert has_wildcard(pattern)
    assert compiled(pattern).fullmatch(before + middle + after)


@pytest.mark.parametrize(
    ("pattern", "sql", "elastic"),
    [
        ("web*", "web%", "web*"),
        ("50%_", "50\\%\\_", "50%_"),
        ("a?b", "a?b", "a\\?b"),
        ("a\\*b", "a*b", "a\\*b"),
        ("a\\\\b", "a\\\\b", "a\\\\b"),
        ("tail\\", "tail\\\\", "tail\\\\"),
    ],
)
def test_each_language_gets_its_own_escapes(pattern: str, sql: str, elastic: str) -> None:
    assert like(pattern) == sql
    assert wildcard(pattern) == elastic


def test_a_pattern_of_many_stars_ends_in_time() -> None:
    """Tried in every way, this would take longer than anybody lives."""
    pattern = compiled("*a" * 40 + "b")
    assert pattern.fullmatch("a" * 5_000) is None
    assert pattern.fullmatch("a" * 5_000 + "b")
    assert compiled("a*b*c").fullmatch("a-b-b-c")
    assert not compiled("a*b*c").fullmatch("a-c-b")


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_stars_mean_what_backtracking_would_find(pattern: str, text: str) -> None:
    plain = re.compile(pattern.replace("*", "[ab]*"))
    assert bool(compiled(pattern).fullmatch(text)) == bool(plain.fullmatch(text))


def test_many_stars_are_one() -> None:
    assert compiled("a****b").pattern == compiled("a*b").pattern
    assert (like("a***"), wildcard("***a")) == ("a%", "*a")

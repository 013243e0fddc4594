from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.selector import MAX_DEPTH, SelectorInvalid, compile_selector


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("all()", {}, True),
        ("global( )", {"a": "b"}, True),
        ("a != 'x'", {}, True),
        ("a not in {'x'}", {}, True),
        ("a == ''", {}, False),
        ("a == ''", {"a": ""}, True),
        ("a contains ''", {}, False),
        ("a starts with ''", {}, False),
        ("a in {}", {"a": "x"}, False),
        ("a not in {}", {"a": "x"}, True),
        ("!a == 'x'", {"a": "y"}, True),
        ("!a == 'x' && b == 'y'", {}, False),
        ("a == '1' || b == '2' && c == '3'", {"a": "1"}, True),
        ("(a == '1' || b == '2') && c == '3'", {"a": "1"}, False),
        ("!(a == '1' || b == '2')", {}, True),
        ("hash == 'x'", {"hash": "x"}, True),
        ("in in {'in'}", {"in": "in"}, True),
        ("inside == 'x'", {"inside": "x"}, True),
        ("not not in {'x'}", {"not": "y"}, True),
        ("starts starts with 's'", {"starts": "so"}, True),
        ('com.docker.compose/service-1_x == "it\'s"', {"com.docker.compose/service-1_x": "it's"}, True),
        ("a\n==\t'x'", {"a": "x"}, True),
        ("a == 'x||y'", {"a": "x||y"}, True),
        ("a == 'ü'", {"a": "ü"}, True),
    ],
)
def test_a_selector_means_what_the_language_says(text: str, labels: dict[str, str], expected: bool) -> None:
    assert compile_selector(text)(labels) is expected


@pytest.mark.parametrize(
    ("text", "offset", "part"),
    [
        ("role = 'db'", 5, "`==`"),
        ("role == db", 8, "a quoted value"),
        ("role == 'db' and x == 'y'", 13, "`&&`"),
        ("role == 'db", 8, "`'` at character 9"),
        ("role", 4, "ends too early"),
        ("role == 'a' 'b'", 12, "`||`"),
        ("has()", 4, "a label name"),
    ],
)
def test_an_error_says_where_and_what_could_stand_there(text: str, offset: int, part: str) -> None:
    with pytest.raises(SelectorInvalid) as caught:
        compile_selector(text)
    assert caught.value.offset == offset
    assert part in str(caught.value)


def test_deep_nesting_and_long_texts_are_refused_not_a_crash() -> None:
    for text in ("!" * 2000 + "has(a)", "!(" * 1000 + "has(a)" + ")" * 1000, "a == '" + "x" * 5000 + "'"):
        with pytest.raises(SelectorInvalid):
            compile_selector(text)
    assert compile_selector("!" * MAX_DEPTH + "has(a)")({"a": ""})


@given(st.text(max_size=60))
def test_any_text_is_a_selector_or_refused(text: str) -> None:
    try:
        assert compile_selector(text)({}) in (True, False)
    except SelectorInvalid as error:
        assert 0 <= error.offset <= len(text)


@given(st.lists(st.sampled_from(["has(a)", "!", "&&", "||", "(", ")", "a == 'x'", " "]), max_size=10))
def test_negating_a_selector_negates_its_answer(parts: list[str]) -> None:
    text = " ".join(parts)
    try:
        matcher = compile_selector(f"({text})")
    except SelectorInvalid:
        return
    for labels in ({}, {"a": "x"}, {"a": "y"}):
        assert compile_selector(f"!({text})")(labels) is not matcher(labels)

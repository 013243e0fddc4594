from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.errors import FilterInvalid
from ringfence.model.filter import And, Comparison, Filter, Not, Or, Term
from ringfence.store.filter.parser import MAX_CHARACTERS, parse_filter
from ringfence.store.filter.predicate import to_predicate
from ringfence.store.filter.sql import to_sql


def plain(tree: Filter | None) -> str:
    """The tree as text, without offsets."""
    match tree:
        case None:
            return "all"
        case Not(operand=operand):
            return f"not({plain(operand)})"
        case And(operands=operands):
            return f"and({', '.join(map(plain, operands))})"
        case Or(operands=operands):
            return f"or({', '.join(map(plain, operands))})"
        case Term(field=field, comparison=comparison, value=value):
            return f"{field} {comparison} {value}"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("  ", "all"),
        ("host: a", "host : a"),
        ("host:a", "host : a"),
        ("host == a", "host : a"),
        ("host==a&&host:b", "and(host : a, host : b)"),
        ("host != a", "not(host : a)"),
        ("!host: a", "not(host : a)"),
        ("NOT host: a", "not(host : a)"),
        ("not not host: a", "host : a"),
        ("host: a or host: b and host: c", "or(host : a, and(host : b, host : c))"),
        ("(host: a or host: b) and host: c", "and(or(host : a, host : b), host : c)"),
        ("host: a || host: b", "or(host : a, host : b)"),
        ("host: (a or b c)", "!"),
        ("host: (a or b and not c)", "or(host : a, and(host : b, not(host : c)))"),
        ("host: *", "host * *"),
        ('host: "*"', "host : \\*"),
        ('host: "a b \\" (c)"', 'host : a b " (c)'),
        ("host: a\\ b\\*", "host : a b\\*"),
        ("host: and", "host : and"),
        ("host: android", "host : android"),
        ("dport >= 80 and dport<=90", "and(dport >= 80, dport <= 90)"),
        ("dport>80", "dport > 80"),
        ("src: fe80::1", "src : fe80::1"),
        ("src:2001:db8::/32", "src : 2001:db8::/32"),
        ("started > 2026-01-01T10:00:00Z", "started > 2026-01-01T10:00:00Z"),
        ("label.a/b.c-d: x", "label.a/b.c-d : x"),
        ("label.a\\ b: x", "label.a b : x"),
        ("src_labels: role=db", "src_labels : role=db"),
        ("HOST: a", "HOST : a"),
        ("web", "or(source.workload.name : *web*, destination.workload.name : *web*)"),
        ("w*b", "or(source.workload.name : w*b, destination.workload.name : w*b)"),
        (
            "fe80::1",
            "or(source.workload.name : *fe80::1*, destination.workload.name : *fe80::1*, ip : fe80::1)",
        ),
        (
            "10.0.0.0/8",
            "or(source.workload.name : *10.0.0.0/8*, destination.workload.name : *10.0.0.0/8*, ip : 10.0.0.0/8)",
        ),
    ],
)
def test_a_text_is_read_as_people_mean_it(text: str, tree: str) -> None:
    if tree == "!":
        with pytest.raises(FilterInvalid):
            parse_filter(text)
    else:
        assert plain(parse_filter(text)) == tree


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("host:", 5, "value"),
        ("host: a and", 11, "field"),
        ("(host: a", 8, ")"),
        ("host: a)", 7, "and"),
        ("host: a host: b", 8, "or"),
        ("host: (a b)", 9, ")"),
        ("and host: a b", 4, "and"),
        ("hots: a", 0, "host"),
        ("host: a and hots: b", 12, "host"),
        ("dport: 80 and dport: http", 21, "number"),
        ("dport: (80 or http)", 14, "number"),
        ("src: 10.0.0.0/99", 5, "CIDR"),
        ("host > a", 7, ":"),
        ('host: "a', 6, '"text"'),
        ("started: 10:00", 9, "time"),
    ],
)
def test_an_error_points_at_the_character_and_says_what_could_stand_there(
    text: str, offset: int, expected: str
) -> None:
    with pytest.raises(FilterInvalid) as caught:
        parse_filter(text)
    assert caught.value.offset == offset
    assert expected in caught.value.expected


def test_a_term_knows_where_it_stands() -> None:
    tree = parse_filter("host: a and not dport: 80")
    assert isinstance(tree, And)
    assert isinstance(tree.operands[1], Not)
    assert tree.operands[1].operand == Term(field="dport", comparison=Comparison.EQUALS, value="80", offset=16)


@pytest.mark.parametrize(
    "text",
    [
        "x" * (MAX_CHARACTERS + 1),
        "!" * 4000,
        "(" * 4000,
        "(" * 2000 + "web" + ")" * 2000,
        "host: (" + " or ".join("a" * 700) + ")",
        "!(a or " * 80 + "b" + ")" * 80,
        'host: "' + "\\" * 4001,
        "a:" * 2000,
        "and " * 1000,
    ],
)
def test_a_monster_is_refused_or_read_but_breaks_nothing(text: str) -> None:
    try:
        tree = parse_filter(text)
    except FilterInvalid as error:
        assert 0 <= error.offset <= len(text)
    else:
        to_sql(tree)
        to_predicate(tree)({})


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("host: a or workload: " + "*a" * 76, 21),
        ("label.role: *" + "a" * 145, 12),
        ("sentence: (b or " + "a*" * 90 + ")", 16),
        ("host: a and " + "x" * 149, 12),
    ],
    ids=["workload", "label", "one of several", "a word alone"],
)
def test_a_longer_text_with_wildcards_than_every_store_takes_is_refused_where_it_begins(text: str, offset: int) -> None:
    with pytest.raises(FilterInvalid, match="with a wildcard") as caught:
        parse_filter(text)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    "text", ["host: " + "a" * 4_000, "host: *" + "a" * 149, "label." + "k" * 4_000 + ": v", "host: " + "\\*" * 150]
)
def test_a_long_text_is_read(text: str) -> None:
    assert parse_filter(text) is not None


PIECES = st.sampled_from(
    ["host", "dport", "src", "label.x", ":", " ", "==", "!=", ">", "<=", "(", ")", "and", "or", "not", "!", "&&", "||",
     "*", '"', "\\", "80", "10.0.0.1", "10.0.0.0/8", "fe80::1", "web", "1-2", "2026-01-01", "\n", "é", "=", "|", "&"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES, max_size=14).map("".join), st.lists(PIECES, max_size=14).map(" ".join)))
def test_any_text_is_read_or_refused_at_a_character_of_it(text: str) -> None:
    try:
        tree = parse_filter(text)
    except FilterInvalid as error:
        assert 0 <= error.offset <= len(text)
        return
    sql, values = to_sql(tree)
    assert sql.count("?") == len(values)
    to_predicate(tree)({})


def test_half_a_character_is_refused_where_it_stands() -> None:
    with pytest.raises(FilterInvalid) as caught:
        parse_filter("workload: \ud800")
    assert caught.value.offset == 10

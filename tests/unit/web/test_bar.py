"""The filter bar: validity, the place of an error, suggestions."""

from __future__ import annotations

from ringfence.store.filter.parser import MAX_CHARACTERS
from web.bar import read_bar, suggestions, values_of


def test_a_valid_filter_has_its_tokens_and_those_that_are_off() -> None:
    bar = read_bar("verdict: denied and dst.name: db", ["port: 22", " "])
    assert bar.valid
    assert [(token.text, token.on) for token in bar.tokens] == [
        ("verdict: denied", True),
        ("dst.name: db", True),
        ("port: 22", False),
    ]
    assert bar.without(bar.tokens[0]) == "dst.name: db"
    assert bar.negated(bar.tokens[1]) == "verdict: denied and not dst.name: db"
    assert bar.with_(bar.tokens[2]) == "verdict: denied and dst.name: db and port: 22"


def test_an_invalid_filter_says_where_and_what_could_stand_there() -> None:
    bar = read_bar("verdict: denied and dst_prt: 5")
    assert not bar.valid
    assert bar.caret == ("verdict: denied and ", "d")
    assert "dst_port" in bar.expected


def test_an_error_at_the_end_has_a_place_too() -> None:
    assert read_bar("verdict:").caret[1] == " "


def test_a_filter_without_end_is_refused_before_it_is_read() -> None:
    assert "longer than" in read_bar("a" * (MAX_CHARACTERS + 1)).error


def test_no_filter_is_valid() -> None:
    assert read_bar("  ").filter is None
    assert read_bar("").valid


def test_fields_are_suggested_by_their_beginning() -> None:
    found = [text for text, _ in suggestions("verdict: denied and dst.n")]
    assert found[0] == "verdict: denied and dst.name: "


def test_values_are_suggested_where_the_list_is_closed() -> None:
    assert [text for text, _ in suggestions("verdict: de")] == ["verdict: denied"]
    assert [text for text, _ in suggestions("not (verdict:a")] == ["not (verdict: allowed"]
    assert values_of("proto")[0] == "tcp"
    assert values_of("src_ip") == ()

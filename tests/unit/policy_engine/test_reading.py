from __future__ import annotations

from datetime import timedelta

import pytest

from policy_engine.document import Mapping, Problems, read_document
from policy_engine.reading import Reader, suggestion
from ringfence.model.policy import Selector
from ringfence.model.verdict import Mode


def reader_of(text: str) -> tuple[Reader, Mapping]:
    problems = Problems()
    root = read_document(text, problems)
    assert isinstance(root, Mapping)
    return Reader(problems), root


def messages(reader: Reader) -> list[str]:
    return [item.message for item in reader.problems.found]


def test_unknown_keys_suggest_the_right_one_and_missing_ones_are_named() -> None:
    reader, root = reader_of("nmae: x\nzzz: 1\n")
    reader.mapping(root, "policies[0]", ("name", "tier"), ("name",))
    assert messages(reader) == [
        "unknown key `nmae`; did you mean `name`?",
        "unknown key `zzz`; known: name, tier",
        "`name` is missing",
    ]
    assert reader.problems.found[0].path == "policies[0].nmae"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10), ("5m", 300), ("1h", 3600), ("7d", 604800)],
)
def test_times_have_a_unit(text: str, seconds: float) -> None:
    reader, root = reader_of(f"within: {text}")
    assert reader.duration(root, "within", "r", timedelta(0)) == timedelta(seconds=seconds)
    assert not reader.problems.found


@pytest.mark.parametrize("text", ["10", "0s", "-1s", "1.5h", "1w", "1000d", "ten"])
def test_what_is_no_time_is_a_problem(text: str) -> None:
    reader, root = reader_of(f"within: {text}")
    reader.duration(root, "within", "r", timedelta(0))
    assert "no time" in messages(reader)[0]


@pytest.mark.parametrize("text", ["0x10", "1_000", "1.0", "'5'", "five", "70000", "-1", "１"])
def test_only_plain_decimal_numbers_in_range_are_numbers(text: str) -> None:
    reader, root = reader_of(f"n: {text}")
    reader.integer(root.entries["n"].value, "n", 1, 65535)
    assert len(messages(reader)) == 1


@pytest.mark.parametrize("text", ["yes", "True", "'true'", "1"])
def test_truth_is_true_or_false_and_nothing_else(text: str) -> None:
    reader, root = reader_of(f"b: {text}")
    assert reader.truth(root, "b", "x", False) is False
    assert messages(reader) == ["expected true or false"]


def test_a_choice_lists_what_it_could_be() -> None:
    reader, root = reader_of("mode: protected")
    reader.choice(root, "mode", "groups[0]", Mode, Mode.DISCOVER)
    assert messages(reader) == ["`protected` is none of discover, monitor, protect"]


@pytest.mark.parametrize("text", ['""', '"  "'])
def test_an_empty_selector_is_refused_since_it_would_mean_everything(text: str) -> None:
    reader, root = reader_of(f"selector: {text}")
    assert reader.selector(root, "selector", "x") is None
    assert "write all()" in messages(reader)[0]


def test_a_selector_is_checked_and_kept_as_text() -> None:
    reader, root = reader_of("selector: has(a)\nother: has(\nnothing:\n")
    assert reader.selector(root, "selector", "x") == Selector(text="has(a)")
    assert reader.selector(root, "other", "x") is None
    assert reader.selector(root, "nothing", "x") is None
    assert len(messages(reader)) == 2


@pytest.mark.parametrize("text", ["a/b", "-a", "a b", "x" * 64, "ü"])
def test_names_are_short_words_without_slashes(text: str) -> None:
    reader, root = reader_of(f"name: '{text}'")
    reader.name(root, "x")
    assert "is no name" in messages(reader)[0]


def test_a_list_is_a_list() -> None:
    reader, root = reader_of("a: 3\nb: [1, 2]\nc:\n")
    assert list(reader.items(root, "a", "")) == []
    assert [path for path, _ in reader.items(root, "b", "")] == ["b[0]", "b[1]"]
    assert list(reader.items(root, "c", "x")) == []
    assert messages(reader) == [
        "expected a list, found `3`; an empty one is []",
        "expected a list, found nothing; an empty one is []",
    ]


def test_a_suggestion_falls_back_to_what_is_known() -> None:
    assert suggestion("aplication", ["application", "platform"]) == "; did you mean `application`?"
    assert suggestion("x", []) == "; known: none"

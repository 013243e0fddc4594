from __future__ import annotations

import pytest

from policy_engine.assertions import check_assertions, read_assertions
from policy_engine.document import Mapping, Problems, read_document
from policy_engine.endpoint import Request
from policy_engine.reading import Reader
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Outcome


def read(text: str) -> tuple[tuple[object, ...], Problems]:
    problems = Problems()
    root = read_document(f"assert:\n  - {{{text}}}\n", problems)
    assert isinstance(root, Mapping)
    return read_assertions(Reader(problems), root), problems


def test_ends_are_labels_or_addresses() -> None:
    found, problems = read("from: 10.0.0.1, to: {role: db, env: prod}, protocol: udp, port: 53, expect: denied")
    assert not problems.found
    item = found[0]
    assert (item.source.labels, str(item.source.address)) == (None, "10.0.0.1")  # type: ignore[attr-defined]
    assert item.destination.labels == {"role": "db", "env": "prod"}  # type: ignore[attr-defined]
    assert item.destination.name == "{role=db, env=prod}"  # type: ignore[attr-defined]
    assert (item.request, item.expect) == (Request(protocol=17, port=53), Outcome.DENIED)  # type: ignore[attr-defined]


def test_icmp_has_a_type_and_code_zero_unless_told() -> None:
    found, problems = read("from: {}, to: {}, protocol: icmp, icmp: {type: 8}, expect: allowed")
    assert not problems.found
    assert found[0].request == Request(protocol=1, icmp_type=8, icmp_code=0)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("to: {}, protocol: tcp, port: 1, expect: allowed", "`from` is missing"),
        ("from: {}, to: {}, protocol: tcp, expect: allowed", "`port` is missing"),
        ("from: {}, to: {}, protocol: icmp, port: 1, expect: allowed", "has no ports"),
        ("from: {}, to: {}, protocol: tcp, port: 1, icmp: {type: 8}, expect: allowed", "`icmp` needs"),
        ("from: api, to: {}, protocol: tcp, port: 1, expect: allowed", "write labels as {role: api}"),
        ("from: [a], to: {}, protocol: tcp, port: 1, expect: allowed", "expected labels or an address"),
        ("from: {}, to: {}, protocol: tcp, port: 1, expect: allow", "none of allowed, denied"),
        ("from: {}, to: {}, protocol: tcp, port: 1", "`expect` is missing"),
    ],
)
def test_what_is_wrong_with_an_assertion_is_said_and_it_is_left_out(text: str, part: str) -> None:
    found, problems = read(text)
    assert found == ()
    assert [part in item.message for item in problems.found] == [True], problems.found


def test_only_broken_assertions_become_problems() -> None:
    for expect, count in (("allowed", 0), ("denied", 1)):
        found, problems = read(f"from: {{}}, to: {{}}, protocol: tcp, port: 1, expect: {expect}")
        check_assertions(problems, PolicySet(), found)  # type: ignore[arg-type]
        assert len(problems.found) == count


def test_their_number_is_limited() -> None:
    text = "assert:\n" + "  - {from: {}, to: {}, protocol: tcp, port: 1, expect: allowed}\n" * 1001
    problems = Problems()
    root = read_document(text, problems)
    assert isinstance(root, Mapping)
    assert read_assertions(Reader(problems), root) == ()
    assert [(item.line, item.message) for item in problems.found] == [(1002, "more than 1000 assertions")]

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.document import Mapping, Problems, read_document
from policy_engine.reading import Reader
from policy_engine.services import merged, read_service
from ringfence.model.policy import PortInterval, Service


def service_of(text: str) -> tuple[Service | None, list[str]]:
    problems = Problems()
    root = read_document(text, problems)
    assert isinstance(root, Mapping)
    service = read_service(Reader(problems), root, "r")
    return service, [item.message for item in problems.found]


def port(first: int, last: int | None = None) -> PortInterval:
    return PortInterval(first=first, last=first if last is None else last)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("protocol: tcp", Service(protocol=6)),
        ("protocol: TCP\nports: [443, 80]", Service(protocol=6, ports=(port(80), port(443)))),
        ('protocol: udp\nports: ["8000-8100"]', Service(protocol=17, ports=(port(8000, 8100),))),
        ('protocol: sctp\nports: ["1:2", 3]', Service(protocol=132, ports=(port(1, 3),))),
        ("protocol: 47", Service(protocol=47)),
        ("protocol: icmp\nicmp: {type: 8}", Service(protocol=1, icmp_type=8)),
        ("protocol: icmpv6\nicmp: {type: 1, code: 4}", Service(protocol=58, icmp_type=1, icmp_code=4)),
        ("protocol: icmpv6\nicmp: {type: 255}", Service(protocol=58, icmp_type=255)),
        ("other: 1", None),
    ],
)
def test_services_are_read(text: str, expected: Service | None) -> None:
    assert service_of(text) == (expected, [])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("protocol: tpc", "did you mean `tcp`"),
        ("protocol: 0", "not between 1 and 255"),
        ("protocol: 256", "not between 1 and 255"),
        ("ports: [80]", "ports need a `protocol`"),
        ("protocol: icmp\nports: [80]", "has no ports"),
        ("protocol: tcp\nports: []", "an empty list"),
        ("protocol: tcp\nports: [65536]", "no port range"),
        ('protocol: tcp\nports: ["90-80"]', "no port range"),
        ("protocol: tcp\nports: [http]", "expected a port"),
        ("protocol: tcp\nports: 80", "expected a list"),
        ("protocol: tcp\nicmp: {type: 8}", "`icmp` needs"),
        ("protocol: icmp\nicmp: {code: 8}", "`type` is missing"),
        ("protocol: icmp\nicmp: {type: 256}", "not between 0 and 255"),
        ("protocol: icmp\nicmp: {type: 255}", "the kernel takes ICMP type 255 for every type"),
    ],
)
def test_what_is_wrong_with_a_service_is_said(text: str, part: str) -> None:
    _, problems = service_of(text)
    assert len(problems) == 1
    assert part in problems[0]


intervals = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)).map(lambda p: port(p[0], p[0] + p[1])))


@given(intervals)
def test_merging_keeps_exactly_the_ports_and_leaves_gaps_between(items: list[PortInterval]) -> None:
    result = merged(items)
    before = {number for item in items for number in range(item.first, item.last + 1)}
    after = [number for item in result for number in range(item.first, item.last + 1)]
    assert set(after) == before
    assert len(after) == len(before)
    assert all(one.last + 1 < two.first for one, two in itertools.pairwise(result))

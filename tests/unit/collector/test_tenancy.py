"""Whose a number was: the run that had it then, nobody between two, the only one always."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.inventory import precedence
from collector.tenancy import EARLY_NS, FOREVER, LATE_NS, apart, nanoseconds, tenancy
from ringfence.model.workload import NetworkKind, Workload, WorkloadKind
from tests.support.tracked import SECOND, START, START_NS, workload


def run(
    name: str, start: float, end: float | None = None, *, joined: bool = False, kind: WorkloadKind = WorkloadKind.POD
) -> Workload:
    return workload(
        name,
        7,
        kind=kind,
        network_kind=NetworkKind.SHARED if joined else NetworkKind.BRIDGE,
        started=START + timedelta(seconds=start),
        ended=None if end is None else START + timedelta(seconds=end),
    )


def name_at(runs: list[Workload], second: float, otherwise: Workload | None = None) -> str | None:
    found, since, until = tenancy(runs, otherwise).at(START_NS + int(second * SECOND))
    assert since <= START_NS + int(second * SECOND) < until
    return found.name if found else None


@pytest.mark.parametrize(
    ("second", "name"),
    [(-2, None), (-0.5, "a"), (0, "a"), (4.9, "a"), (5.5, "a"), (7, None), (9.5, "b"), (10, "b"), (900, "b")],
)
def test_a_number_is_whose_it_was_then(second: float, name: str | None) -> None:
    assert name_at([run("b", 10), run("a", 0, 5)], second) == name


def test_outside_all_runs_it_is_who_was_named_for_that() -> None:
    assert name_at([run("a", 0, 5)], 60, run("other", 0)) == "other"
    assert name_at([], 60, run("other", 0)) == "other"
    assert name_at([], 60) is None


def test_between_two_that_follow_each_other_at_once_nobody_can_tell() -> None:
    runs = [run("a", 0, 5), run("b", 5.5)]
    assert [name_at(runs, second) for second in (4.9, 5.2, 5.5)] == ["a", None, "b"]
    assert name_at([run("a", 0, 5), run("a", 5.5)], 5.2) == "a", "a restart is no other"


def test_who_joined_has_it_only_when_the_owner_is_gone() -> None:
    runs = [run("owner", 0, 5), run("sidecar", 1, joined=True)]
    assert [name_at(runs, second) for second in (-0.5, 0.5, 3, 5.5, 60)] == [*["owner"] * 3, *["sidecar"] * 2]


def test_a_host_goes_before_all_who_are_in_its_namespace() -> None:
    runs = [run("job", 3, 4), run("machine", 0, kind=WorkloadKind.HOST)]
    assert {name_at(runs, second) for second in (1, 3.5, 60)} == {"machine"}


def test_a_run_without_length_has_had_it() -> None:
    assert [name_at([run("a", 0, 0)], second) for second in (-0.5, 0.5, 2)] == ["a", "a", None]


def test_times_before_the_epoch_are_none() -> None:
    early = run("a", -START.timestamp())
    assert tenancy([early]).at(0) == (early, 0, FOREVER)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.none() | st.integers(0, 9), st.booleans(), st.sampled_from("abc"))),
    st.integers(-20, 250),
)
def test_the_answer_is_that_of_looking_at_every_run(
    given_: list[tuple[int, int | None, bool, str]], fifth: int
) -> None:
    runs = [
        run(name, start, None if length is None else start + length, joined=joined)
        for start, length, joined, name in given_
    ]
    moment = START_NS + fifth * SECOND // 5
    times = [(nanoseconds(item.started), nanoseconds(item.ended) if item.ended else FOREVER, item) for item in runs]
    likely = [item for since, until, item in times if since <= moment < until]
    expected = max(likely, key=precedence, default=None)
    if not likely:
        near = [item for since, until, item in times if since - EARLY_NS <= moment < until + LATE_NS]
        expected = max(near, key=precedence, default=None)
        if any(expected and apart(expected, item) for item in near):
            expected = None
    found, since, until = tenancy(runs).at(moment)
    assert (found and (found.id, precedence(found))) == (expected and (expected.id, precedence(expected)))
    for other in (since, until - 1):
        assert tenancy(runs).at(other)[0] is found

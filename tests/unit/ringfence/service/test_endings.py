"""What ended unseen is ended; what runs, or nobody can know of, stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ringfence.model.workload import Workload
from ringfence.service.endings import Endings
from tests.support.estate import Estate
from tests.support.tracked import START, workload

LATER = START + timedelta(hours=2)
RUN = workload("web", 7, "10.1.0.2")


def step(estate: Estate, *runs: Workload, hosts: tuple[str, ...] = ("h1",)) -> None:
    Endings(workloads=estate.state.workloads, runs=lambda: runs, hosts=lambda: hosts, clock=lambda: LATER).step()


def test_what_ended_while_nobody_looked_has_ended(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.workloads.save([RUN])
        step(estate)
        assert estate.state.workloads.current() == ()
        (ended,) = estate.state.workloads.seen(START, LATER + timedelta(hours=1))
        assert (ended.ended, ended.attachments[0].until) == (LATER, LATER)


@pytest.mark.parametrize(
    ("runs", "hosts"),
    [((RUN,), ("h1",)), ((), ()), ((), ("other",))],
    ids=["it runs", "its engine has not told yet", "another host"],
)
def test_what_runs_or_may_run_stays(tmp_path: Path, runs: tuple[Workload, ...], hosts: tuple[str, ...]) -> None:
    with Estate(tmp_path) as estate:
        estate.state.workloads.save([RUN])
        step(estate, *runs, hosts=hosts)
        assert estate.state.workloads.current() == (RUN,)


def test_an_end_that_is_known_is_taken_as_it_was(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.workloads.save([RUN])
        step(estate, replace(RUN, ended=START))
        found = estate.state.workloads.get(RUN.id)
        assert found is not None
        assert found.ended == START


def test_of_two_runs_the_one_that_goes_on_stays(tmp_path: Path) -> None:
    moved = replace(RUN, started=RUN.started + timedelta(seconds=3))
    with Estate(tmp_path) as estate:
        estate.state.workloads.save([RUN, moved])
        step(estate, moved)
        assert estate.state.workloads.current() == (moved,)

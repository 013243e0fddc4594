"""Every loss becomes a gap that waits, in order, until a batch takes it."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from collector.kernel import Kernel
from collector.losses import Losses, unseen
from collector.sysctl import Readiness
from ringfence.model.gap import Gap, GapCause
from tests.support.fake_system import SILENT, FakeSystem
from tests.support.tracked import START, WEB, World


class Now:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


def gap(number: int) -> Gap:
    return Gap(id=str(number), host="h", started=START, ended=START, cause=GapCause.SPOOL_FULL)


def test_what_is_put_back_comes_first() -> None:
    losses = Losses("h", lambda: START)
    losses.add(gap(1))
    losses.add(gap(2))
    taken = losses.take()
    losses.add(gap(3))
    losses.put_back(taken)
    assert [item.id for item in losses.take()] == ["1", "2", "3"]
    assert losses.take() == []


def test_no_gap_is_lost_between_threads() -> None:
    losses, found = Losses("h", lambda: START), []
    threads = [threading.Thread(target=lambda: [losses.add(gap(1)) for _ in range(2000)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found += losses.take()
    assert len(found + losses.take()) == 4000


def test_a_failed_tick_covers_the_time_its_records_came_in() -> None:
    losses = Losses("h", lambda: START)
    losses.note_failed(0, "nothing", None)
    losses.note_failed(7, "records", START - timedelta(seconds=1))
    (found,) = losses.take()
    assert (found.started, found.ended, found.lost) == (START - timedelta(seconds=1), START, 7)


def test_what_the_first_look_finds_was_lost_since_the_beginning() -> None:
    now, system, world = Now(), FakeSystem(), World()
    kernel = Kernel(receive_buffer=1, on_addresses=lambda inode, held: None, system=system.system())
    losses = Losses("h", now)
    losses.begin()
    system.listener.figure, world.aggregator.unfollowed = 5, 6
    cast(Any, system.denied).lost = lambda: {WEB: 3}
    now.at += timedelta(seconds=2)
    losses.read(kernel, world.aggregator)
    kernel.close()
    assert sorted((item.cause, item.lost, bool(item.detail)) for item in losses.take()) == [
        (GapCause.LOG_OVERRUN, 3, False),
        (GapCause.LOG_OVERRUN, 6, True),
        (GapCause.SOCKET_OVERRUN, 5, False),
    ]
    assert losses.lost == {"socket overrun": 5, "denied-log overrun": 9}


@pytest.mark.parametrize(
    ("impaired", "failures", "expected"),
    [
        ({}, {}, {}),
        ({WEB: SILENT}, {}, {(GapCause.NAMESPACE, str(WEB)): SILENT.problems[0]}),
        ({WEB: Readiness(accounting=False, timestamps=False, events=True)}, {}, {}),
        ({WEB: SILENT}, {WEB: "gone"}, {(GapCause.NAMESPACE, str(WEB)): "gone"}),
    ],
    ids=["all is well", "no events", "no counters", "not watched"],
)
def test_what_cannot_be_seen_is_named_with_its_reason(
    impaired: dict[int, Readiness], failures: dict[int, str], expected: dict[Any, str]
) -> None:
    kernel = Kernel(receive_buffer=1, on_addresses=lambda inode, held: None, system=FakeSystem().system())
    kernel.impaired, kernel.failures = impaired, failures
    assert unseen(kernel, "") == expected
    kernel.close()
    assert unseen(None, "no root") == {(GapCause.NOT_CAPTURED, ""): "no root"}

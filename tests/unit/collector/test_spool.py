"""The spool: nothing acknowledged is lost, nothing is delivered twice, what does not fit is counted exactly."""

from __future__ import annotations

import errno
import itertools
import os
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from collector.spool import MOST_KEPT, USUAL_WAIT, Spool
from ringfence.model.flow import FlowBatch
from ringfence.model.gap import Gap, GapCause
from tests.support.tracked import START, WEB, World, leg


def flows(count: int) -> pa.Table:
    world = World()
    world.tick(*(leg(WEB, f"10.1.0.2:{1000 + number}>10.1.0.3:80", id_=number) for number in range(count)))
    world.tick(at=2)
    return world.table()


TABLES = {count: flows(count) for count in range(4)}


def batch(count: int, number: int = 0, gaps: tuple[Gap, ...] = ()) -> FlowBatch:
    return FlowBatch(id=f"{number:032x}" if number else "", host="h", flows=TABLES[count], gaps=gaps)


def gap(name: str) -> Gap:
    return Gap(id=name, host="h", started=START, ended=START, cause=GapCause.SOCKET_OVERRUN, lost=7, detail="d")


def spool(folder: Path, **options: Any) -> Spool:
    return Spool(folder, host="h", **{"max_bytes": 1 << 20, "clock": lambda: START, **options})


def drain(queue: Spool) -> list[FlowBatch]:
    found = []
    while (item := queue.peek()) is not None:
        found.append(item)
        queue.ack(item.id)
    return found


def test_a_batch_that_waits_for_longer_than_usual_is_held_up_since_it_was_put(tmp_path: Path) -> None:
    now = [START]
    queue = spool(tmp_path, clock=lambda: now[0])
    queue.put(batch(1, 1))
    now[0] += USUAL_WAIT
    assert queue.held_up_since is None
    queue.put(batch(1, 2))
    now[0] += timedelta(seconds=1)
    assert queue.held_up_since == START
    queue.ack(f"{1:032x}")
    assert queue.held_up_since is None
    now[0] += USUAL_WAIT
    assert queue.held_up_since == START + USUAL_WAIT
    drain(queue)
    assert queue.held_up_since is None


def test_gaps_are_held_up_since_they_began_also_those_of_batches_that_were_dropped(tmp_path: Path) -> None:
    now = [START]
    queue = spool(tmp_path, clock=lambda: now[0], max_bytes=12_000)
    began = START - timedelta(hours=1)
    queue.put(batch(1, 1, (replace(gap("down"), started=began),)))
    while f"{1:032x}" in {item.id for item in queue.pending()}:
        now[0] += timedelta(seconds=1)
        queue.put(batch(3, gaps=(gap("later"),)))
    now[0] += 2 * USUAL_WAIT
    assert queue.held_up_since == began
    for path in tmp_path.glob("*.arrow"):
        os.utime(path, (START.timestamp(), START.timestamp()))
    assert spool(tmp_path, clock=lambda: now[0]).held_up_since == began, "also after a restart"
    drain(queue)
    queue.put(batch(1))
    now[0] += 2 * USUAL_WAIT
    assert queue.held_up_since == now[0] - 2 * USUAL_WAIT


def test_what_was_put_comes_out_in_order_with_its_gaps(tmp_path: Path) -> None:
    queue = spool(tmp_path)
    queue.put(batch(2, 1, (gap("a"),)))
    queue.put(batch(3, 2))
    first, second = drain(queue)
    assert (first.id, first.flows, first.gaps, first.host) == (f"{1:032x}", TABLES[2], (gap("a"),), "h")
    assert (second.flows.num_rows, second.gaps, queue.peek(), queue.bytes) == (3, (), None, 0)


def test_a_batch_has_the_same_id_after_a_restart(tmp_path: Path) -> None:
    queue = spool(tmp_path)
    queue.put(batch(2))
    queue.put(batch(1))
    again = spool(tmp_path)
    first = again.peek()
    assert first is not None
    assert first.id == queue.peek().id  # type: ignore[union-attr]
    again.ack(first.id)
    assert [item.flows.num_rows for item in again.pending()] == [1]


def test_only_what_is_fsynced_counts_as_taken(tmp_path: Path) -> None:
    synced: list[int] = []
    queue = spool(tmp_path, sync=synced.append)
    queue.put(batch(1))
    assert len(synced) == 2, "the file and its folder"


def test_a_half_written_file_is_no_batch(tmp_path: Path) -> None:
    (tmp_path / "0000000000000001-x.arrow.part").write_bytes(b"half")
    queue = spool(tmp_path)
    assert (queue.peek(), list(tmp_path.iterdir())) == (None, [])


@pytest.mark.parametrize("damage", [b"", b"rubbish" * 9, None], ids=["empty", "rubbish", "cut"])
def test_a_damaged_file_is_set_aside_and_counted(tmp_path: Path, damage: bytes | None) -> None:
    queue = spool(tmp_path)
    queue.put(batch(3))
    queue.put(batch(1))
    path = sorted(tmp_path.glob("*.arrow"))[0]
    path.write_bytes(path.read_bytes()[:-20] if damage is None else damage)
    found = drain(spool(tmp_path))
    assert [item.flows.num_rows for item in found] == [1, 0]
    assert [(item.cause, item.lost) for item in found[1].gaps] == [(GapCause.UNREADABLE, 3)]
    assert len(list(tmp_path.glob("*.corrupt"))) == 1


def test_an_unreadable_batch_is_a_gap_since_the_batch_before_it_was_written(tmp_path: Path) -> None:
    queue = spool(tmp_path)
    for number in (1, 2, 3):
        queue.put(batch(number))
    for hour, path in enumerate(sorted(tmp_path.glob("*.arrow"))):
        if hour:
            path.write_bytes(b"rubbish")
        at = (START + timedelta(hours=hour)).timestamp()
        os.utime(path, (at, at))
    found = drain(spool(tmp_path, clock=lambda: START + timedelta(days=1)))
    (lost,) = found[-1].gaps
    assert (lost.started, lost.ended, lost.lost) == (START, START + timedelta(hours=2), 5)


def test_when_full_the_oldest_go_and_the_count_is_exact(tmp_path: Path) -> None:
    queue = spool(tmp_path)
    queue.put(batch(3))
    size = queue.bytes
    small = spool(tmp_path, max_bytes=size * 2, clock=lambda: START + timedelta(days=1))
    for _ in range(4):
        small.put(batch(3))
    found = drain(small)
    lost = sum(item.lost or 0 for entry in found for item in entry.gaps)
    assert sum(item.flows.num_rows for item in found) + lost == 15
    gaps = [item for entry in found for item in entry.gaps]
    assert {item.cause for item in gaps} == {GapCause.SPOOL_FULL}
    began, seen = min(TABLES[3]["started"].to_pylist()), max(TABLES[3]["last_seen"].to_pylist())
    assert {(item.started, item.ended) for item in gaps} == {(began, seen)}, "what was dropped, not when"
    assert len({item.id for item in gaps}) == len(gaps)


def test_gaps_of_a_dropped_batch_travel_with_a_later_one(tmp_path: Path) -> None:
    queue = spool(tmp_path)
    queue.put(batch(3, 1, (gap("kept"),)))
    small = spool(tmp_path, max_bytes=queue.bytes + 10)
    small.put(batch(3, 2))
    assert "kept" in {item.id for entry in drain(small) for item in entry.gaps}


def test_a_full_disk_drops_the_oldest_then_counts_and_recovers_by_itself(tmp_path: Path) -> None:
    free = [100]

    def sync(descriptor: int) -> None:
        if free[0] <= 0:
            raise OSError(errno.ENOSPC, "no space left")

    queue = spool(tmp_path, sync=sync)
    queue.put(batch(2))
    free[0] = 0
    queue.put(batch(3))
    assert list(tmp_path.glob("*.part")) == []
    free[0] = 100
    queue.put(batch(1))
    found = drain(queue)
    lost = sum(item.lost or 0 for entry in found for item in entry.gaps)
    assert (sum(item.flows.num_rows for item in found), lost) == (1, 5)


def test_the_time_since_the_last_beat_is_a_gap(tmp_path: Path) -> None:
    moments = iter([START, START + timedelta(minutes=3)])
    assert spool(tmp_path).downtime() is None
    spool(tmp_path, clock=lambda: next(moments)).beat()
    found = spool(tmp_path, clock=lambda: START + timedelta(minutes=3)).downtime()
    assert found is not None
    assert (found.started, found.ended, found.cause) == (START, START + timedelta(minutes=3), GapCause.NOT_RUNNING)
    assert found.lost is None


def test_a_beat_may_tell_of_an_earlier_time_than_now(tmp_path: Path) -> None:
    spool(tmp_path, clock=lambda: START + timedelta(seconds=9)).beat(START)
    found = spool(tmp_path, clock=lambda: START + timedelta(minutes=3)).downtime()
    assert found is not None
    assert found.started == START


@pytest.mark.parametrize("text", ["", "rubbish"])
def test_an_unreadable_beat_counts_from_when_it_was_written(tmp_path: Path, text: str) -> None:
    written = START - timedelta(minutes=1)
    (tmp_path / "alive").write_text(text)
    os.utime(tmp_path / "alive", (written.timestamp(), written.timestamp()))
    found = spool(tmp_path, clock=lambda: START).downtime()
    assert found is not None
    assert (found.started, found.ended) == (written, START)


def test_a_beat_in_the_future_is_a_gap_of_unknown_length_not_none(tmp_path: Path) -> None:
    (tmp_path / "alive").write_text("2999-01-01T00:00:00+00:00")
    found = spool(tmp_path, clock=lambda: START).downtime()
    assert found is not None
    assert (found.started, found.ended, found.lost) == (START, START, None)


def test_gaps_of_dropped_batches_stay_few_and_their_count_exact(tmp_path: Path) -> None:
    queue = spool(tmp_path, max_bytes=200_000)
    for number in range(400):
        queue.put(batch(2, number, (gap(f"g{number}"),)))
    found = drain(queue)
    gaps = [item for entry in found for item in entry.gaps]
    assert len(gaps) <= len(found) * (MOST_KEPT + 2)
    assert sum(item.lost or 0 for item in gaps if item.cause is GapCause.SOCKET_OVERRUN) == 400 * 7
    lost = sum(item.lost or 0 for item in gaps if item.cause is GapCause.SPOOL_FULL)
    assert sum(entry.flows.num_rows for entry in found) + lost == 800
    assert lost < 790


def test_a_gap_that_grew_is_carried_once_as_it_is_now(tmp_path: Path) -> None:
    queue = spool(tmp_path)
    for lost in (7, 9):
        queue._keep([replace(gap("same"), lost=lost)])
    (found,) = drain(queue)
    assert [item.lost for item in found.gaps] == [9]


def test_few_unreadable_batches_are_kept_aside(tmp_path: Path) -> None:
    queue = spool(tmp_path)
    for number in range(12):
        queue.put(batch(1, number))
    for path in tmp_path.glob("*.arrow"):
        path.write_bytes(b"rubbish")
    found = drain(spool(tmp_path))
    assert sum(item.lost or 0 for entry in found for item in entry.gaps) == 12
    assert len(list(tmp_path.glob("*.corrupt"))) == 8


class Machine(RuleBasedStateMachine):
    """Rows that were put are waiting, delivered, or counted in a gap: always, across restarts and full disks."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.full = False
        self.put_rows = self.delivered = self.lost = 0
        self.numbers = itertools.count(1)
        self.acked: set[str] = set()
        self.open()

    def open(self) -> None:
        self.queue = spool(Path(self.folder.name), max_bytes=60_000, sync=self.sync, clock=self.now)

    def now(self) -> datetime:
        return START

    def sync(self, descriptor: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @rule(count=st.integers(1, 3))
    def put(self, count: int) -> None:
        self.queue.put(batch(count, next(self.numbers)))
        self.put_rows += count

    @rule()
    def take(self) -> None:
        found = self.queue.peek()
        if found is not None:
            assert found.id not in self.acked
            self.acked.add(found.id)
            self.queue.ack(found.id)
            self.delivered += found.flows.num_rows
            self.lost += sum(item.lost or 0 for item in found.gaps)

    @rule()
    def look_only(self) -> None:
        first, second = self.queue.peek(), self.queue.peek()
        assert (first is None) == (second is None)
        assert first is None or second is None or first.id == second.id

    @rule(full=st.booleans())
    def disk(self, full: bool) -> None:
        self.full = full

    @rule()
    def restart(self) -> None:
        self.full = False
        self.settle()
        self.open()

    def settle(self) -> None:
        """Counts that were not written yet go with a process that is killed; here it ends in order."""
        self.queue.put(batch(1, next(self.numbers)))
        self.put_rows += 1

    @invariant()
    def nothing_waits_twice(self) -> None:
        ids = [item.id for item in self.queue.pending()]
        assert len(ids) == len(set(ids))

    def teardown(self) -> None:
        self.full = False
        with self.folder:
            for item in drain(self.queue):
                self.delivered += item.flows.num_rows
                self.lost += sum(entry.lost or 0 for entry in item.gaps)
            assert self.delivered + self.lost == self.put_rows


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)

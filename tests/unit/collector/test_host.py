"""The collector works degraded, says what it cannot do, and takes up what a former run left."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from collector.host import NOT_TOLD, UNREAD, Collector
from collector.inventory import Listing
from collector.kernel import Kernel
from collector.spool import Spool
from ringfence.config import Capture, Config, Docker, General
from ringfence.model.flow import FlowBatch
from ringfence.model.gap import Gap, GapCause
from ringfence.model.workload import Workload
from tests.support.estate import flow_row, flow_table
from tests.support.fake_system import SILENT, FakeSystem
from tests.support.tracked import API, START, WEB, leg, refused, workload
from tests.support.wait import wait_until


def collector(folder: Path, **options: Any) -> Collector:
    """Without capture and, unless given, without Docker: what any user can run."""
    config = Config(
        general=General(host="h"),
        docker=Docker(endpoints=options.pop("endpoints", ())),
        capture=Capture(
            enabled="open_kernel" in options, tick_seconds=options.pop("tick_seconds", 0.02), dump_seconds=0.1
        ),
    )
    options = {"clock": lambda: START, "rule_names": lambda number: None, **options}
    return Collector(config, host="h", data_dir=folder, **options)


def test_without_capture_and_docker_it_runs_and_says_so(tmp_path: Path) -> None:
    made = collector(tmp_path, endpoints=(f"unix://{tmp_path}/docker.sock",))
    made.start()
    try:
        wait_until("the engine was asked", lambda: "not asked" not in str(made.status()["docker"]))
        limits = made.status()["limits"]
    finally:
        made.stop()
    assert limits == [
        "connections are not captured: capture.enabled is false",
        f"there is no Docker socket at {tmp_path}/docker.sock",
    ]
    assert json.dumps(made.status())


def test_the_host_itself_is_a_workload(tmp_path: Path) -> None:
    (host,) = collector(tmp_path).workloads()
    assert (host.id, host.kind, host.netns) == ("host:h", "host", Path("/proc/self/ns/net").stat().st_ino)


def test_workloads_of_the_file_are_told_with_their_ends(tmp_path: Path) -> None:
    told: list[dict[str, bool]] = []

    def tell(workloads: tuple[Workload, ...]) -> None:
        told.append({item.name: item.running for item in workloads})

    (tmp_path / "ns").touch()
    entry = {"id": "a", "name": "api", "netns_path": str(tmp_path / "ns")}
    (tmp_path / "workloads.json").write_text(json.dumps([entry]))
    made = collector(tmp_path, on_workloads=tell)
    made.start()
    try:
        wait_until("it is known", lambda: told and told[-1].get("api"))
        (tmp_path / "workloads.json").write_text("[]")
        wait_until("its end is told", lambda: told[-1].get("api") is False)
    finally:
        made.stop()


def test_workloads_that_could_not_be_told_are_told_again(tmp_path: Path) -> None:
    told: list[int] = []

    def tell(workloads: tuple[Workload, ...]) -> None:
        told.append(len(workloads))
        if len(told) == 1:
            raise OSError("the state store is away")

    made = collector(tmp_path, on_workloads=tell)
    made.start()
    try:
        wait_until("it is told again, without another change", lambda: len(told) == 2)
    finally:
        made.stop()


def test_a_host_is_complete_once_its_engines_and_the_file_have_told(tmp_path: Path) -> None:
    silent = f"unix://{tmp_path}/docker.sock"
    made = collector(tmp_path, endpoints=(silent, f"far={silent}"))
    assert made.complete_hosts() == frozenset()
    for source in ("docker:far", "docker:h"):
        made.inventory.replace(source, Listing())
    assert made.complete_hosts() == {"far"}
    made.start()
    wait_until("the file is read", lambda: made.complete_hosts() == {"far", "h"})
    (tmp_path / "workloads.json").write_text("nonsense")
    wait_until("the file is bad", lambda: made.complete_hosts() == {"far"})
    made.stop()


def test_the_time_it_did_not_run_is_a_gap(tmp_path: Path) -> None:
    first = collector(tmp_path)
    first.start()
    first.stop()
    again = collector(tmp_path, clock=lambda: START + timedelta(minutes=5))
    again.start()
    try:
        batch = wait_until("the gap is spooled", lambda: _first_with(again, GapCause.NOT_RUNNING))
    finally:
        again.stop()
    assert [(gap.cause, gap.started) for gap in batch.gaps] == [
        (GapCause.NOT_RUNNING, START),
        (GapCause.NOT_CAPTURED, START + timedelta(minutes=5)),
    ]


def _first_with(made: Collector, cause: GapCause) -> FlowBatch | None:
    return next((batch for batch in made.spool.pending() if any(gap.cause is cause for gap in batch.gaps)), None)


def test_a_run_that_was_killed_at_once_leaves_a_gap_too(tmp_path: Path) -> None:
    killed = collector(tmp_path, tick_seconds=60)
    killed.start()  # and not a word more: its first tick does not come
    again = collector(tmp_path, clock=lambda: START + timedelta(minutes=5))
    again.start()
    try:
        batch = wait_until("the gap is spooled", again.spool.peek)
    finally:
        again.stop()
        killed.stop()
    assert [(gap.cause, gap.started) for gap in batch.gaps] == [
        (GapCause.NOT_RUNNING, START),
        (GapCause.NOT_CAPTURED, START + timedelta(minutes=5)),
    ]


def test_without_capture_the_whole_time_is_a_gap(tmp_path: Path) -> None:
    now = [START]
    made = collector(tmp_path, clock=lambda: now[0])
    made.start()
    wait_until("it is told", lambda: len(made.spool))
    now[0] += timedelta(minutes=5)
    wait_until("it grows", lambda: len(made.spool) > 1)
    now[0] += timedelta(seconds=3)
    made.stop()
    told = {gap.id: gap for gap in gaps(made)}
    (gap,) = told.values()
    assert (gap.cause, gap.started, gap.ended) == (GapCause.NOT_CAPTURED, START, now[0])
    assert gap.detail == "connections are not captured: capture.enabled is false"


def gaps(made: Collector) -> list[Gap]:
    return [gap for batch in made.spool.pending() for gap in batch.gaps]


def rows(made: Collector) -> dict[str, dict[str, Any]]:
    return {row["flow_id"]: row for batch in made.spool.pending() for row in batch.flows.to_pylist()}


@pytest.fixture
def system() -> FakeSystem:
    return FakeSystem(web=WEB, api=API)


def watching(folder: Path, system: FakeSystem, **options: Any) -> Collector:
    """With a made-up kernel in which web and api run; not started."""

    def opened(**settings: Any) -> Kernel:
        return Kernel(system=system.system(), **settings)

    made = collector(folder, open_kernel=opened, **options)
    machine = made.workloads()[0].netns
    assert machine is not None
    system.namespaces.paths[f"/proc/self/ns/{Path('/proc/self/ns/net').name}"] = machine
    parts = [
        replace(workload(name, inode, address), netns_path=f"/{name}")
        for name, inode, address in (("web", WEB, "10.1.0.2"), ("api", API, "10.1.0.3"))
    ]
    made.inventory.replace("test", Listing(workloads=tuple(parts)), START)
    return made


def test_what_is_read_becomes_rows(tmp_path: Path, system: FakeSystem) -> None:
    made = watching(tmp_path, system)
    made.start()
    try:
        wait_until("both are watched", lambda: made.status()["namespaces"] == 3)
        system.listener.waiting.append(leg(WEB, "10.1.0.2:1>10.1.0.3:80"))
        wait_until("a row is there", lambda: rows(made))
    finally:
        made.stop()
    (row,) = rows(made).values()
    assert (row["src_name"], row["dst_name"], gaps(made)) == ("web", "api", [])


def test_before_the_flow_store_has_told_nothing_is_captured_and_that_is_a_gap(
    tmp_path: Path, system: FakeSystem
) -> None:
    made = watching(tmp_path, system, resume=None)
    made.start()
    try:
        wait_until("it ticks", lambda: made.status()["lag_seconds"] is not None)
        before = made.status()
        assert (before["capturing"], before["limits"]) == (False, [NOT_TOLD])
        wait_until("all are watched: rules need the addresses", lambda: made.status()["namespaces"] == 3)
        system.listener.waiting.append(leg(WEB, "10.1.0.2:1>10.1.0.3:80"))
        wait_until("it is let go", lambda: made.status()["events"] and not system.listener.waiting)
        letting_go = made._last_tick
        wait_until("a tick began and ended", lambda: made._last_tick > letting_go, seconds=10)
        letting_go = made._last_tick
        wait_until("so did another", lambda: made._last_tick > letting_go, seconds=10)
        made.capture(flow_table(flow_row(7, host="h", end_reason=None, ended=None)))
        assert (made.status()["capturing"], made.status()["limits"]) == (True, [])
        wait_until("what was open before is looked for", lambda: rows(made))
    finally:
        made.stop()
    (row,) = rows(made).values()
    assert row["end_reason"] == "lost"
    (gap,) = {gap.id: gap for gap in gaps(made)}.values()
    assert (gap.cause, gap.detail) == (GapCause.NOT_CAPTURED, NOT_TOLD)


@pytest.mark.parametrize("away", ["refuses", "hangs"])
def test_new_namespaces_are_watched_while_nobody_can_be_told_of_them(
    tmp_path: Path, system: FakeSystem, away: str
) -> None:
    back = threading.Event()

    def tell(workloads: tuple[Workload, ...]) -> None:
        if away == "refuses":
            raise OSError("the state store is away")
        back.wait(20)

    made = watching(tmp_path, system, on_workloads=tell)
    made.start()
    try:
        wait_until("all are watched", lambda: made.status()["namespaces"] == 3, seconds=5)
    finally:
        back.set()
        made.stop()


def test_a_namespace_that_is_not_watched_is_a_gap_until_it_is(tmp_path: Path, system: FakeSystem) -> None:
    now = [START]
    system.unopenable[API] = OSError("no socket")
    made = watching(tmp_path, system, clock=lambda: now[0])
    made.start()
    try:
        wait_until("it is told", lambda: gaps(made))
        assert "api is not observed: no socket" in made.status()["limits"]
        now[0] += timedelta(minutes=1)
        system.unopenable.clear()
        wait_until("it is watched", lambda: made.status()["namespaces"] == 3)
        wait_until("it is over", lambda: not made._losses._outages._open)
        now[0] += timedelta(minutes=1)
    finally:
        made.stop()
    assert {(gap.id, gap.cause, gap.started) for gap in gaps(made)} == {(gaps(made)[0].id, GapCause.NAMESPACE, START)}
    assert gaps(made)[-1].ended == START + timedelta(minutes=1)


def test_a_namespace_without_events_is_a_limit_and_a_gap(tmp_path: Path, system: FakeSystem) -> None:
    system.readiness[API] = SILENT
    made = watching(tmp_path, system)
    made.start()
    try:
        wait_until("it is told", lambda: gaps(made))
        assert made.status()["limits"] == [f"api is observed in part: {SILENT.problems[0]}"]
    finally:
        made.stop()
    assert {(gap.cause, gap.detail) for gap in gaps(made)} == {(GapCause.NAMESPACE, SILENT.problems[0])}


def test_records_that_a_tick_fails_on_are_a_gap_with_their_number(tmp_path: Path, system: FakeSystem) -> None:
    made = watching(tmp_path, system)
    made.start()
    try:
        wait_until("both are watched", lambda: made.status()["namespaces"] == 3)
        system.listener.waiting.append(np.zeros(3, [("kind", "u1")]))
        wait_until("it is told", lambda: gaps(made))
    finally:
        made.stop()
    assert [(gap.cause, gap.lost) for gap in gaps(made)] == [(GapCause.UNREADABLE, 3)]


def test_a_figure_that_cannot_be_read_costs_no_row_and_is_made_up_for(tmp_path: Path, system: FakeSystem) -> None:
    now = [START]
    system.listener.broken = OSError("no /proc")
    made = watching(tmp_path, system, clock=lambda: now[0])
    made.start()
    try:
        wait_until("both are watched", lambda: made.status()["namespaces"] == 3)
        system.listener.waiting.append(leg(WEB, "10.1.0.2:1>10.1.0.3:80"))
        wait_until("a row is there", lambda: rows(made))
        system.listener.figure, system.listener.broken = 42, None
        now[0] += timedelta(seconds=5)
        wait_until("it is told", lambda: gaps(made))
    finally:
        made.stop()
    assert [(gap.cause, gap.lost) for gap in gaps(made)] == [(GapCause.SOCKET_OVERRUN, 42)]


class BadSpool:
    """A spool that refuses a number of batches."""

    def __init__(self, spool: Spool, refusals: int) -> None:
        self._spool, self.left = spool, refusals

    def put(self, batch: FlowBatch) -> None:
        if batch.flows.num_rows and self.left:
            self.left -= 1
            raise OSError("read-only file system")
        self._spool.put(batch)

    def __len__(self) -> int:
        return len(self._spool)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spool, name)


def test_rows_that_the_spool_refuses_are_a_gap_and_other_gaps_stay(tmp_path: Path, system: FakeSystem) -> None:
    system.unopenable[API] = OSError("no socket")
    made = watching(tmp_path, system, clock=lambda: START)
    made.spool = cast(Spool, BadSpool(made.spool, 1))
    made.start()
    try:
        wait_until("one is watched", lambda: made.status()["namespaces"] == 2)
        system.listener.waiting.append(leg(WEB, "10.1.0.2:1>10.1.0.3:80"))
        wait_until("it is told", lambda: {gap.cause for gap in gaps(made)} >= {GapCause.UNREADABLE})
    finally:
        made.stop()
    assert {(gap.cause, gap.lost) for gap in gaps(made)} == {(GapCause.UNREADABLE, 1), (GapCause.NAMESPACE, None)}


def test_what_has_no_namespace_yet_is_not_claimed_at_the_end(tmp_path: Path, system: FakeSystem) -> None:
    now = [START]
    made = watching(tmp_path, system, clock=lambda: now[0], tick_seconds=60)
    made.start()
    wait_until("both are watched", lambda: made.status()["namespaces"] == 3)
    made._tick()
    now[0] += timedelta(minutes=1)
    system.listener.waiting.append(leg(4711, "10.9.0.2:1>10.1.0.9:80"))
    wait_until("it is read", lambda: made.status()["events"] == 1)
    made.stop()
    assert rows(made) == {}
    assert (tmp_path / "spool" / "alive").read_text() == (START - UNREAD).isoformat()


def test_a_denied_attempt_is_written_long_before_the_next_regular_tick(tmp_path: Path, system: FakeSystem) -> None:
    made = watching(tmp_path, system, clock=lambda: START, tick_seconds=60)
    made.start()
    try:
        wait_until("both are watched", lambda: made.status()["namespaces"] == 3)
        system.denied.waiting.append(refused(API, "10.1.0.2:1>10.1.0.3:22", rule_number=22, ingress=True))
        wait_until("it is written", lambda: rows(made), seconds=30)
    finally:
        made.stop()
    assert [row["enforced"] for row in rows(made).values()] == ["denied"]


def test_an_engine_without_a_socket_holds_no_rules_up(tmp_path: Path) -> None:
    made = collector(tmp_path, endpoints=(f"unix://{tmp_path}/docker.sock",))
    made.start()
    try:
        wait_until("the file is read, and there is no engine to wait for", made.settled)
        (tmp_path / "docker.sock").touch()
        assert not made.settled(), "somebody may answer there"
    finally:
        made.stop()


def test_rules_are_made_once_every_namespace_has_told_its_addresses(tmp_path: Path, system: FakeSystem) -> None:
    system.unopenable[API] = OSError("no socket")
    made = watching(tmp_path, system, clock=lambda: START, tick_seconds=60)
    assert not made.settled()
    made.start()
    try:
        wait_until("one is watched, of the other it is known that it cannot be", made.settled)
        assert made.status()["namespaces"] == 2
    finally:
        made.stop()

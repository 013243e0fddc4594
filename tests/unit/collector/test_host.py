"""The collector works degraded, says what it cannot do, and takes up what a former run left."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collector.host import Collector, latest_open
from collector.spool import Spool
from ringfence.config import Capture, Config, Docker, General
from ringfence.model.flow import FLOW_SCHEMA, FlowBatch
from ringfence.model.gap import GapCause
from ringfence.model.workload import Workload
from tests.support.tracked import START, WEB, World, leg
from tests.support.wait import wait_until


def collector(folder: Path, **options: Any) -> Collector:
    """Without capture and, unless given, without Docker: what any user can run."""
    config = Config(
        general=General(host="h"),
        docker=Docker(endpoints=options.pop("endpoints", ())),
        capture=Capture(enabled=False, tick_seconds=options.pop("tick_seconds", 0.02)),
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


def test_the_time_it_did_not_run_is_a_gap(tmp_path: Path) -> None:
    first = collector(tmp_path)
    first.start()
    first.stop()
    again = collector(tmp_path, clock=lambda: START + timedelta(minutes=5))
    again.start()
    try:
        batch = wait_until("the gap is spooled", again.spool.peek)
    finally:
        again.stop()
    assert [(gap.cause, gap.started) for gap in batch.gaps] == [(GapCause.NOT_RUNNING, START)]


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
    assert [(gap.cause, gap.started) for gap in batch.gaps] == [(GapCause.NOT_RUNNING, START)]


@pytest.fixture
def opened() -> pa.Table:
    world = World()
    world.tick(leg(WEB, "10.1.0.2:1>10.1.0.3:80"), leg(WEB, "10.1.0.2:2>10.1.0.3:80", id_=2))
    world.tick(at=2)
    return world.table()


def test_what_waits_in_the_spool_is_newer_than_the_store(tmp_path: Path, opened: pa.Table) -> None:
    spool = Spool(tmp_path, host="h", max_bytes=1 << 20)
    rows = opened.to_pylist()
    ended = {**rows[0], "end_reason": "closed"}
    other = {**rows[0], "flow_id": "f" * 32}
    spool.put(FlowBatch(id="", host="h", flows=pa.Table.from_pylist([ended, other], schema=FLOW_SCHEMA)))
    found = latest_open(opened, spool)
    assert set(found["flow_id"].to_pylist()) == {rows[1]["flow_id"], "f" * 32}
    assert latest_open(None, spool)["flow_id"].to_pylist() == ["f" * 32]

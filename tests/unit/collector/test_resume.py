"""Rows of a former run are matched by tuple, ends and time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from collector.resume import Resume, latest_open
from collector.spool import Spool
from ringfence.model.flow import FLOW_SCHEMA, FlowBatch
from tests.support.tracked import API, START, WEB, World, leg


@pytest.fixture
def former() -> World:
    world = World()
    world.tick(leg(WEB, "10.1.0.2:1>10.1.0.3:80", start=0), leg(API, "10.1.0.2:1>10.1.0.3:80", start=0))
    world.tick(at=2)
    return world


def row_of(world: World, **changes: Any) -> dict[str, Any]:
    return {**next(iter(world.rows.values())), **changes}


def test_the_same_connection_is_found_once(former: World) -> None:
    resume = Resume(former.table())
    assert resume.match(4, row_of(former)) is not None
    assert resume.match(5, row_of(former)) is None
    assert (resume.waiting, resume.busy) == (0, True)
    resume.forget(np.array([4]))
    assert not resume.busy


@pytest.mark.parametrize(
    "changes",
    [{"src_workload": "another"}, {"dst_port": 81}, {"started": START + timedelta(seconds=9)}],
    ids=["another workload", "another port", "began later"],
)
def test_another_connection_is_not(former: World, changes: dict[str, Any]) -> None:
    resume = Resume(former.table())
    assert resume.match(4, row_of(former, **changes)) is None
    assert resume.waiting == 1


def test_an_end_that_nobody_knows_any_more_is_carried_over(former: World) -> None:
    resume = Resume(former.table())
    row = row_of(former, dst_workload=None, dst_name=None, dst_method="unknown")
    resume.match(4, row)
    resume.carry(4, row)
    assert (row["dst_name"], row["dst_method"]) == ("api", "netns")


def test_what_is_not_found_in_time_is_lost_once(former: World) -> None:
    resume = Resume(former.table())
    assert resume.lost(5).num_rows == 0
    resume.expire_after(5)
    assert resume.lost(5).num_rows == 0
    assert resume.lost(6)["end_reason"].to_pylist() == ["lost"]
    assert resume.lost(7).num_rows == 0


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
    assert latest_open(FLOW_SCHEMA.empty_table(), spool)["flow_id"].to_pylist() == ["f" * 32]

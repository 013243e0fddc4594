"""The spool on a real file system that is full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from collector.spool import Spool
from ringfence.model.flow import FLOW_SCHEMA, FlowBatch
from tests.support.generate import START
from tests.support.rows import flow

pytestmark = pytest.mark.root

BATCHES, ROWS = 20, 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_what_a_full_disk_cannot_hold_is_counted(small_disk: Path) -> None:
    spool = Spool(small_disk, host="h", max_bytes=1 << 20, clock=lambda: START)
    for _ in range(BATCHES):
        rows = pa.Table.from_pylist([flow(f"f{number}") for number in range(ROWS)], FLOW_SCHEMA)
        spool.put(FlowBatch(id="", host="h", flows=rows))
    kept = lost = 0
    while (found := spool.peek()) is not None:
        kept += found.flows.num_rows
        lost += sum(gap.lost or 0 for gap in found.gaps)
        spool.ack(found.id)
    assert kept + lost == BATCHES * ROWS
    assert kept > 0 < lost

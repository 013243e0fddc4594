"""What DuckDB's flow store keeps when its process is killed and when the disk is full: whole batches, each once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ringfence.model.flow import FlowBatch
from ringfence.store.duckdb import DuckDBFlowStore
from ringfence.store.flows import FlowQuery
from tests.support.generate import START, flow_table
from tests.support.require import require

ROOT = Path(__file__).parents[2]
ROWS = 500
KILLS = 8
EVER = FlowQuery(start=START, end=START + timedelta(days=1))

WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from ringfence.store.duckdb import DuckDBFlowStore
    from tests.contract.test_flow_store_durability import numbered
    store = DuckDBFlowStore(Path(sys.argv[1]))
    for number in range(int(sys.argv[2]), 10_000):
        store.append(numbered(number))
        print(number, flush=True)
    """
)

FILLER = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    from ringfence.errors import StoreUnavailable
    from ringfence.store.duckdb import DuckDBFlowStore
    from tests.contract.test_flow_store_durability import EVER, numbered
    folder = Path(sys.argv[1])
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(12 * 1024 * 1024))
    store = DuckDBFlowStore(folder / "flows.duckdb")
    stored, message = 0, ""
    for number in range(10_000):
        try:
            store.append(numbered(number))
        except StoreUnavailable as error:
            message = str(error)
            break
        stored += 1
    full = store.search(EVER).total
    ballast.unlink()
    again = store.append(numbered(stored))
    freed = store.search(EVER).total
    store.close()
    store = DuckDBFlowStore(folder / "flows.duckdb")
    reopened = store.search(EVER).total
    print(json.dumps(dict(stored=stored, message=message, full=full, again=again, freed=freed, reopened=reopened)))
    """
)


def numbered(number: int) -> FlowBatch:
    """Batch `number`: flows of its own, all of them final, and the one open flow that every batch brings anew."""
    table = flow_table(ROWS, seed=number, open_share=0.0)
    running = flow_table(1, seed=1_000_000, open_share=1.0)
    return FlowBatch(id=f"batch-{number}", host="h1", flows=pa.concat_tables([table, running]))


def python(script: str, *arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]


def test_a_killed_writer_leaves_every_batch_whole_or_not_at_all(tmp_path: Path) -> None:
    path, chance = tmp_path / "flows.duckdb", random.Random(7)
    done = 0
    for _ in range(KILLS):
        with subprocess.Popen(python(WRITER, path, done), cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()
            time.sleep(chance.uniform(0, 0.4))
            os.kill(writer.pid, signal.SIGKILL)
            acknowledged = [int(line) for line in (first + writer.stdout.read()).split()]
        assert acknowledged, "the writer did not begin"
        done = acknowledged[-1] + 1
        store = DuckDBFlowStore(path)
        held = store.search(EVER).total
        # One batch may have been stored and not acknowledged any more.
        assert held - 1 in {done * ROWS, (done + 1) * ROWS}
        assert store.append(numbered(done)) == (held - 1 == done * ROWS)
        assert store.search(EVER).total - 1 == (done + 1) * ROWS
        assert store.open_flows("h1").num_rows + store.open_flows("h2").num_rows + store.open_flows("h3").num_rows == 1
        store.close()
        done += 1


@pytest.mark.root
def test_a_full_disk_loses_nothing_that_was_taken(tmp_path: Path) -> None:
    require("namespaces")
    # A mount namespace of its own: the small disk is gone when the process is.
    mount = f'mount -t tmpfs -o size=32m none {tmp_path} && exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", mount, "sh", *python(FILLER, tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["stored"] > 1
    assert "flow store" in found["message"]
    assert found["full"] == found["stored"] * ROWS + 1
    assert found["again"]
    assert found["freed"] == found["reopened"] == (found["stored"] + 1) * ROWS + 1

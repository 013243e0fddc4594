from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from ringfence.errors import StoreLocked, StoreUnavailable
from ringfence.model.filter import Comparison, Term
from ringfence.store.duckdb import DuckDBFlowStore
from ringfence.store.flows import FlowQuery
from tests.support.generate import START, flow_batch

EVER = FlowQuery(start=START, end=START + timedelta(days=1))


def test_a_second_store_on_the_same_file_is_refused(tmp_path: Path) -> None:
    store = DuckDBFlowStore(tmp_path / "flows.duckdb")
    with pytest.raises(StoreLocked, match=str(os.getpid())):
        DuckDBFlowStore(tmp_path / "flows.duckdb")
    store.close()
    DuckDBFlowStore(tmp_path / "flows.duckdb").close()


def test_a_foreign_program_that_has_the_file_open_is_named(tmp_path: Path) -> None:
    path = tmp_path / "flows.duckdb"
    script = "import duckdb, sys\nc = duckdb.connect(sys.argv[1])\nprint('open', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreLocked, match="another process"):
            DuckDBFlowStore(path)
        other.communicate("")
    DuckDBFlowStore(path).close()


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    DuckDBFlowStore(tmp_path / "flows.duckdb").close()
    assert (tmp_path / "flows.duckdb").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_database_is_unavailable_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "flows.duckdb"
    path.write_bytes(b"not a database " * 1000)
    with pytest.raises(StoreUnavailable, match=r"flows\.duckdb"):
        DuckDBFlowStore(path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_closed_store_answers_nothing(tmp_path: Path) -> None:
    store = DuckDBFlowStore(tmp_path / "flows.duckdb")
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.search(EVER)


def test_a_column_that_a_later_version_brings_is_added(tmp_path: Path) -> None:
    path = tmp_path / "flows.duckdb"
    store = DuckDBFlowStore(path)
    store.append(flow_batch(10, id="old"))
    store.close()
    with duckdb.connect(str(path)) as connection:
        for table in ("flows_open", "flows_final"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN revision").fetchall()
    store = DuckDBFlowStore(path)
    store.append(flow_batch(10, id="new", seed=1))
    assert sorted(row["revision"] is None for row in store.search(EVER).rows) == [False] * 10 + [True] * 10
    store.close()


def test_batch_ids_are_forgotten_but_for_each_hosts_newest(tmp_path: Path) -> None:
    now = [START]
    store = DuckDBFlowStore(tmp_path / "flows.duckdb", clock=lambda: now[0], tidy_every=10)
    for number in range(10):
        now[0] = START + timedelta(days=2) if number >= 2 else START
        store.append(flow_batch(0, id=f"b{number}", host="quiet" if number == 1 else "busy"))
    assert store.append(flow_batch(0, id="b0"))
    assert not store.append(flow_batch(0, id="b1"))
    assert not store.append(flow_batch(0, id="b2"))
    store.close()


@pytest.mark.parametrize("value", ["'", "' OR 1=1 --", '"; DROP TABLE gaps; --', "?", "$1", "%", "\x00", "\ud7ff"])
def test_values_are_never_read_as_sql(tmp_path: Path, value: str) -> None:
    store = DuckDBFlowStore(tmp_path / "flows.duckdb")
    store.append(flow_batch(20, id=value or "x"))
    term = Term(field="host", comparison=Comparison.EQUALS, value=value, offset=0)
    assert store.search(FlowQuery(start=EVER.start, end=EVER.end, filter=term)).total == 0
    assert store.get(value) is None
    assert store.search(EVER, cursor=f"{2**50}_{value}").total == 20
    assert store.gaps(EVER.start, EVER.end) == ()
    store.close()

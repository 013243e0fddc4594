"""The flow store on DuckDB: appending against a plain `executemany`, and questions to a store of a million flows.

    python -m tests.bench.store [--rows N]

Both ways of appending write the same columns into tables of the same shape, in files of one folder, committed alike.
The rate of `executemany` is taken from few rows, as it is slow. Questions are asked five times each, the median counts;
scanning the same filter in Python over a part of the rows is the baseline. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ringfence.model.flow import FlowBatch
from ringfence.store.duckdb import DuckDBFlowStore
from ringfence.store.duckdb_tables import STORED, create_tables, to_stored
from ringfence.store.filter.parser import parse_filter
from ringfence.store.filter.predicate import to_predicate
from ringfence.store.flows import FlowQuery
from tests.support.generate import START, flow_table, workloads

BATCH = 20_000
BASELINE_ROWS = 1_000
SCANNED_ROWS = 20_000
REPEATS = 5
FILTER = "label.role: db and not ip: 172.18.0.0/28 and dport: 443-9000"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def median(work: Callable[[], Any]) -> float:
    return statistics.median(seconds(work) for _ in range(REPEATS))


def executemany_rate(folder: Path, table: pa.Table) -> float:
    """Rows per second that a loop over rows reaches, in one transaction."""
    rows = [list(row.values()) for row in to_stored(table).to_pylist()]
    marks = ", ".join("?" * len(STORED))
    with duckdb.connect(str(folder / "baseline.duckdb")) as connection:
        create_tables(
            lambda text: connection.execute(text).fetchall(),
            lambda name: [row[0] for row in connection.sql(f"DESCRIBE {name}").fetchall()],
        )

        def insert() -> None:
            connection.begin()
            connection.executemany(f"INSERT INTO flows_final VALUES ({marks})", rows)  # noqa: S608
            connection.commit()

        return len(rows) / seconds(insert)


def append_rate(store: DuckDBFlowStore, table: pa.Table) -> float:
    """Rows per second through `append`, in batches as a host sends them after a second of heavy traffic."""
    parts = [table.slice(start, BATCH) for start in range(0, table.num_rows, BATCH)]
    batches = [FlowBatch(id=str(number), host="h1", flows=part) for number, part in enumerate(parts)]

    def append() -> None:
        for batch in batches:
            store.append(batch)

    return table.num_rows / seconds(append)


def questions(store: DuckDBFlowStore) -> dict[str, float]:
    """Milliseconds of what the dashboard asks, by name."""
    day = FlowQuery(start=START, end=START + timedelta(days=1))
    filtered = FlowQuery(start=day.start, end=day.end, filter=parse_filter(FILTER))
    needle = FlowQuery(start=day.start, end=day.end, filter=parse_filter("ip: 203.0.113.7 and verdict: denied"))
    some = store.search(day, limit=1).rows[0]["flow_id"]
    asked: dict[str, Callable[[], Any]] = {
        "page": lambda: store.search(day),
        "page_filtered": lambda: store.search(filtered),
        "needle": lambda: store.search(needle),
        "histogram": lambda: store.histogram(day, bucket_seconds=60),
        "map": lambda: store.summarize(day, ("src_workload", "dst_workload", "dst_port")),
        "one_flow": lambda: store.get(some),
    }
    return {f"{name}_ms": round(median(work) * 1000, 1) for name, work in asked.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    rows = arguments.parse_args().rows
    say(f"making {rows:,} flows")
    table = flow_table(rows, estate=workloads(2_000), span=timedelta(hours=6))
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as name:
        folder = Path(name)
        baseline = executemany_rate(folder, table.slice(0, BASELINE_ROWS))
        say(f"executemany: {baseline:,.0f} rows/s")
        store = DuckDBFlowStore(folder / "flows.duckdb")
        appended = append_rate(store, table)
        say(f"append in batches of {BATCH:,}: {appended:,.0f} rows/s")
        figures = questions(store)
        store.close()
        size = (folder / "flows.duckdb").stat().st_size / rows
    part, test = table.slice(0, SCANNED_ROWS), to_predicate(parse_filter(FILTER))
    scan = SCANNED_ROWS / median(lambda: [row for row in part.to_pylist() if test(row)])
    query = rows / (figures["page_filtered_ms"] / 1000)
    for question, milliseconds in figures.items():
        say(f"{question.removesuffix('_ms')}: {milliseconds} ms")
    result = {
        "append_over_executemany": round(appended / baseline, 1),
        "append_rows_per_s": round(appended),
        "filter_over_python_scan": round(query / scan, 1),
        "bytes_per_flow": round(size, 1),
        "rows": rows,
        **figures,
    }
    say(json.dumps(result))


if __name__ == "__main__":
    main()

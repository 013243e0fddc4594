# ruff: noqa: S608 -- the text consists of names from the schema; values are always parameters
"""The flow store on DuckDB: one file, one owner process, any number of threads.

Open flows stand in a small table whose rows are replaced; final ones are appended to a large one. A batch is one
transaction with its id in it: it is stored whole or not at all, and once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ringfence.clock import Clock, utc_now
from ringfence.errors import StoreLocked, StoreUnavailable
from ringfence.model.flow import IMPORTED, FlowBatch
from ringfence.model.gap import Gap, GapCause
from ringfence.store.duckdb_tables import (
    COLUMN_LIST,
    FLOWS,
    SETTINGS,
    STORED,
    UNAVAILABLE,
    create_tables,
    from_stored,
    gap_rows,
    to_stored,
)
from ringfence.store.filter.sql import plain, to_sql
from ringfence.store.flows import FlowOrder, FlowPage, FlowQuery
from ringfence.store.ownership import own
from ringfence.store.rows import (
    bucket_starts,
    conform,
    decode_cursor,
    decode_key,
    encode_cursor,
    encode_key,
    final_rows,
    grouping,
    histogram_table,
    summary_schema,
)

BATCH_MEMORY = timedelta(days=1)
"""How long a batch id is remembered; the newest of each host is remembered for ever."""
REPEAT_MARGIN = timedelta(minutes=10)
"""A flow that comes again has the same start; one that had to be estimated may differ by this much."""

DENIED = "enforced IS NOT DISTINCT FROM 'denied'"
STAGED = f"(NOT ({DENIED}) AND staged IS NOT DISTINCT FROM 'denied')"
ALLOWED = f"(NOT ({DENIED}) AND NOT {STAGED} AND enforced IS NOT DISTINCT FROM 'allowed')"
LARGEST = 2**63 - 1
SORT_KEYS: dict[str, tuple[str, type[int] | type[str]]] = {
    "started": ("started", int),
    "src_name": ("src_name", str),
    "dst_name": ("dst_name", str),
    "dst_port": ("dst_port", int),
    "bytes": ("coalesce(src_bytes + coalesce(dst_bytes, 0), dst_bytes)", int),
}
"""What rows are ordered by, and the kind of its value in a cursor (a time is whole microseconds)."""

Connection = Any


class DuckDBFlowStore:
    """A `FlowStore`. Thread-safe: writers wait for one another, readers for nobody.

    Batch ids are cleaned up after every `tidy_every` batches. `memory_limit` bounds what queries may take; larger ones
    use the disk.

    Raises:
        StoreLocked: another store object, here or in another process, owns the file.
        StoreUnavailable: the file cannot be opened.
    """

    def __init__(
        self, path: Path, *, clock: Clock = utc_now, memory_limit: str = "2GB", tidy_every: int = 1000
    ) -> None:
        self._path = path
        self._clock = clock
        self._config: dict[str, str | bool | int | float | list[str]] = {
            **SETTINGS,
            "memory_limit": memory_limit,
            "temp_directory": f"{path}.tmp",
        }
        self._writing = threading.Lock()
        self._opening = threading.Lock()
        self._tidy_every = self._untidy = tidy_every
        self._owner = own(path)
        self._connection: Connection = None
        try:
            with self._cursor():
                pass
        except BaseException:
            self._owner.close()
            raise

    def append(self, batch: FlowBatch) -> bool:
        """See `FlowWriter.append`; rows of another shape raise ValueError, and nothing of the batch is stored."""
        opened, final = (to_stored(part) for part in final_rows(conform(batch.flows)))
        with self._transaction() as cursor:
            if cursor.sql("SELECT 1 FROM batches WHERE id = ?", params=[batch.id]).fetchall():
                return False
            now = plain(self._clock())
            _run(cursor, "INSERT INTO batches VALUES (?, ?, ?)", [batch.id, batch.host, now])
            if opened.num_rows or final.num_rows:
                _put_flows(cursor, opened, final)
            if batch.gaps:
                _put_gaps(cursor, batch.gaps)
            self._untidy -= 1
            if self._untidy <= 0:
                self._untidy = self._tidy_every
                _tidy(cursor, now - BATCH_MEMORY)
        return True

    def open_flows(self, host: str) -> pa.Table:
        with self._cursor() as cursor:
            return from_stored(_table(cursor, f"SELECT {COLUMN_LIST} FROM flows_open WHERE host = ?", [host]))

    def prune(self, before: datetime) -> int:
        with self._transaction() as cursor:
            old, kept = plain(before), GapCause.IMPORT.value
            gone = _run(cursor, "DELETE FROM flows_final WHERE last_seen < ? AND end_reason <> ?", [old, IMPORTED])
            _run(cursor, "DELETE FROM gaps WHERE ended < ? AND cause <> ?", [old, kept])
        if gone:
            self._compact()
        return gone

    def search(self, query: FlowQuery, *, limit: int = 100, cursor: str | None = None) -> FlowPage:
        """See `FlowReader.search`. Two steps: the ids of the page, then its rows, so that few columns are sorted."""
        where, values = _where(query)
        key, _ = SORT_KEYS[query.order.column]
        way = "DESC" if query.order.down else "ASC"
        after, after_values = _after(query.order, cursor)
        with self._snapshot() as reader:
            total = reader.sql(f"SELECT count(*) FROM {FLOWS} WHERE {where}", params=values).fetchall()[0][0]
            keys = reader.sql(
                f"SELECT {key}, started, flow_id FROM {FLOWS} WHERE {where} AND {after}"
                f" ORDER BY {key} {way} NULLS LAST, flow_id LIMIT ?",
                params=[*values, *after_values, limit + 1],
            ).fetchall()
            rows = _rows_of(reader, keys[:limit])
        more = len(keys) > limit > 0
        return FlowPage(rows=rows, cursor=_cursor_after(query.order, *keys[limit - 1]) if more else None, total=total)

    def get(self, flow_id: str) -> dict[str, Any] | None:
        with self._cursor() as cursor:
            found = _table(cursor, f"SELECT {COLUMN_LIST} FROM {FLOWS} WHERE flow_id = ? LIMIT 1", [flow_id])
        rows: list[dict[str, Any]] = from_stored(found).to_pylist()
        return rows[0] if rows else None

    def summarize(self, query: FlowQuery, by: tuple[str, ...], *, limit: int = 10_000) -> pa.Table:
        keys = ", ".join(f'"{name}"' for name in grouping(by))
        where, values = _where(query)
        text = (
            f"SELECT {keys}, count(*) AS flows, count(*) FILTER ({DENIED}) AS denied,"
            f" count(*) FILTER ({STAGED}) AS staged_denied, {_sum('packets')} AS packets, {_sum('bytes')} AS bytes,"
            " min(started) AS first_seen, max(last_seen) AS last_seen_, min(flow_id) AS example"
            f" FROM {FLOWS} WHERE {where} GROUP BY {keys} ORDER BY flows DESC, example LIMIT ?"
        )
        schema = summary_schema(by)
        with self._cursor() as cursor:
            table = _table(cursor, text, [*values, limit])
        return table.rename_columns(schema.names).cast(schema)

    def histogram(self, query: FlowQuery, *, bucket_seconds: int) -> pa.Table:
        starts = bucket_starts(query.start, query.end, bucket_seconds)
        where, values = _where(query)
        text = (
            f"SELECT make_timestamp(epoch_us(greatest(started, ?)) // {bucket_seconds * 1_000_000}"
            f" * {bucket_seconds * 1_000_000}) AS bucket, count(*) FILTER ({ALLOWED}), count(*) FILTER ({DENIED}),"
            f" count(*) FILTER ({STAGED}), count(*) FROM {FLOWS} WHERE {where} GROUP BY bucket"
        )
        with self._cursor() as cursor:
            found = cursor.sql(text, params=[plain(query.start), *values]).fetchall()
        counts = {
            bucket.replace(tzinfo=UTC): {
                "allowed": allowed,
                "denied": denied,
                "staged_denied": staged,
                "unknown": flows - allowed - denied - staged,
            }
            for bucket, allowed, denied, staged, flows in found
        }
        return histogram_table(starts, counts)

    def gaps(self, start: datetime, end: datetime) -> tuple[Gap, ...]:
        with self._cursor() as cursor:
            rows = cursor.sql(
                "SELECT * FROM gaps WHERE started < ? AND ended >= ? ORDER BY started, id",
                params=[plain(end), plain(start)],
            ).fetchall()
        return tuple(
            Gap(
                id=id_,
                host=host,
                started=started.replace(tzinfo=UTC),
                ended=ended.replace(tzinfo=UTC),
                cause=GapCause(cause),
                lost=lost,
                detail=detail,
            )
            for id_, host, started, ended, cause, lost, detail in rows
        )

    def close(self) -> None:
        with self._writing, self._opening:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._owner.close()

    def _connect(self) -> Connection:
        with self._opening:
            if self._owner.closed:
                raise StoreUnavailable("the flow store is closed")
            if self._connection is None:
                self._connection = self._open_file()
            return self._connection

    def _open_file(self) -> Connection:
        try:
            connection = duckdb.connect(str(self._path), config=self._config)
        except duckdb.IOException as error:
            if "lock" in str(error):
                raise StoreLocked(f"another process has opened {self._path}", hint="stop it first") from error
            raise
        self._path.chmod(0o600)
        connection.execute("BEGIN").fetchall()
        create_tables(
            lambda text: connection.execute(text).fetchall(),
            lambda table: [row[0] for row in connection.sql(f"DESCRIBE {table}").fetchall()],
        )
        connection.execute("COMMIT").fetchall()
        return connection

    @contextmanager
    def _cursor(self) -> Iterator[Connection]:
        """A cursor of its own for each use: cursors are cheap (3 microseconds) and threads come and go."""
        try:
            cursor = self._connect().cursor()
            try:
                yield cursor
            finally:
                cursor.close()
        except UNAVAILABLE as error:
            self._reopen_after(error)
            raise StoreUnavailable(f"the flow store {self._path} failed: {error}") from error

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        """Several questions to one and the same state."""
        with self._cursor() as cursor:
            _run(cursor, "BEGIN TRANSACTION READ ONLY", [])
            try:
                yield cursor
            finally:
                _run(cursor, "ROLLBACK", [])

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._writing, self._cursor() as cursor:
            _run(cursor, "BEGIN TRANSACTION", [])
            try:
                yield cursor
                _run(cursor, "COMMIT", [])
            except BaseException:
                try:
                    _run(cursor, "ROLLBACK", [])
                except duckdb.Error:
                    cursor.close()  # the engine has rolled back by itself
                raise

    def _reopen_after(self, error: Exception) -> None:
        """After a fatal error DuckDB answers nothing more until the file is opened anew; that replays its log."""
        if isinstance(error, (duckdb.FatalException, duckdb.InternalException)):
            with self._opening:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None

    def _compact(self) -> None:
        """Give deleted rows' space back; skipped while someone reads."""
        with self._cursor() as cursor:
            try:
                _run(cursor, "CHECKPOINT", [])
            except duckdb.TransactionException:
                return


def _run(cursor: Connection, text: str, values: list[Any]) -> int:
    """Execute one statement to its end; the number of rows it changed, 0 for others."""
    rows = cursor.execute(text, values).fetchall()
    return int(rows[0][0]) if rows and isinstance(rows[0][0], int) else 0


def _table(cursor: Connection, text: str, values: list[Any]) -> pa.Table:
    return cursor.sql(text, params=values).to_arrow_table()


def _put_flows(cursor: Connection, opened: pa.Table, final: pa.Table) -> None:
    """Replace and append, leaving out what is final already: only flows that were not open can be."""
    columns = ", ".join(f'"{name}"' for name in STORED)
    cursor.register("batch_rows", pa.concat_tables([opened, final]))
    _run(cursor, "CREATE TEMP TABLE fresh AS SELECT * FROM batch_rows", [])
    cursor.unregister("batch_rows")
    bounds = cursor.sql(
        "SELECT min(started), max(started) FROM fresh WHERE flow_id NOT IN (SELECT flow_id FROM flows_open)"
    ).fetchall()[0]
    if bounds[0] is not None:
        _run(
            cursor,
            "DELETE FROM fresh WHERE flow_id NOT IN (SELECT flow_id FROM flows_open) AND flow_id IN"
            " (SELECT flow_id FROM flows_final WHERE started BETWEEN ? AND ?)",
            [bounds[0] - REPEAT_MARGIN, bounds[1] + REPEAT_MARGIN],
        )
    _run(cursor, "DELETE FROM flows_open WHERE flow_id IN (SELECT flow_id FROM fresh)", [])
    for table, state in (("flows_open", "NULL"), ("flows_final", "NOT NULL")):
        _run(cursor, f"INSERT INTO {table} ({columns}) SELECT {columns} FROM fresh WHERE end_reason IS {state}", [])
    _run(cursor, "DROP TABLE fresh", [])


def _put_gaps(cursor: Connection, gaps: tuple[Gap, ...]) -> None:
    cursor.register("batch_gaps", gap_rows(gaps))
    _run(cursor, "INSERT OR REPLACE INTO gaps SELECT * FROM batch_gaps", [])
    cursor.unregister("batch_gaps")


def _tidy(cursor: Connection, before: datetime) -> None:
    newest = "SELECT arg_max(id, stored) FROM batches GROUP BY host"
    _run(cursor, f"DELETE FROM batches WHERE stored < ? AND id NOT IN ({newest})", [before])


def _where(query: FlowQuery) -> tuple[str, list[Any]]:
    text, values = to_sql(query.filter)
    return f"started < ? AND last_seen >= ? AND ({text})", [plain(query.end), plain(query.start), *values]


def _after(order: FlowOrder, cursor: str | None) -> tuple[str, list[Any]]:
    """The condition that leaves out what stood on former pages."""
    if cursor is None:
        return "true", []
    key, kind = SORT_KEYS[order.column]
    value, flow_id = decode_cursor(cursor) if order.column == "started" else decode_key(cursor, kind)
    if value is None:
        return f"({key} IS NULL AND flow_id > ?)", [flow_id]
    mark = "make_timestamp(?)" if order.column == "started" else "?"
    beyond = "<" if order.down else ">"
    last = "" if order.column == "started" else f" OR {key} IS NULL"
    return f"({key} {beyond} {mark} OR ({key} = {mark} AND flow_id > ?){last})", [value, value, flow_id]


def _cursor_after(order: FlowOrder, value: Any, started: datetime, flow_id: str) -> str:
    if order.column == "started":
        return encode_cursor(started.replace(tzinfo=UTC), flow_id)
    return encode_key(value, flow_id)


def _rows_of(reader: Connection, keys: list[tuple[Any, datetime, str]]) -> tuple[dict[str, Any], ...]:
    """The rows of a page, in its order."""
    if not keys:
        return ()
    marks = ", ".join("?" * len(keys))
    starts = [started for _, started, _ in keys]
    found = _table(
        reader,
        f"SELECT {COLUMN_LIST} FROM {FLOWS} WHERE started BETWEEN ? AND ? AND flow_id IN ({marks})",
        [min(starts), max(starts), *(flow_id for _, _, flow_id in keys)],
    )
    rows = {row["flow_id"]: row for row in from_stored(found).to_pylist()}
    return tuple(rows[flow_id] for _, _, flow_id in keys)


def _sum(what: str) -> str:
    """Both ways over known figures; 0 where nothing is known; at the largest integer it stops instead of failing."""
    total = f"coalesce(sum(src_{what}), 0) + coalesce(sum(dst_{what}), 0)"
    return f"CAST(least({total}, {LARGEST}) AS BIGINT)"

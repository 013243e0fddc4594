"""One database: how to reach it, how to read and write it, and which errors mean that it is away."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import StaticPool

from ringfence.errors import ConfigError, RingfenceError, StoreUnavailable

BUSY_SECONDS = 15
"""How long a writer waits for another process that holds SQLite's write lock."""
POSTGRESQL_ARGUMENTS: Mapping[str, int] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""A server that vanished without a word is noticed while a question waits for its answer (keepalives, seconds) and
while it is not even acknowledged (milliseconds); the kernel's own patience is a quarter of an hour."""
KEPT_CONNECTIONS = 2
MOST_CONNECTIONS = 15
"""Of one process. What it keeps open is small, because many agents share a server that takes 100 connections."""


class Database:
    """Short transactions: `reading()` sees one state, `writing()` commits at its end or leaves nothing behind.

    Both raise `StoreUnavailable` when the database does not answer, `RingfenceError` when it cannot hold a value
    (PostgreSQL: a text with a NUL), and let integrity errors through.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with _failures(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        with _failures(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except sa.exc.DataError as error:
        raise RingfenceError(f"the state store cannot hold this value: {error.orig}") from error
    except UnicodeEncodeError as error:
        raise RingfenceError("the state store cannot hold this value: it is no text in Unicode") from error
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        raise StoreUnavailable(f"the state store failed: {reason}") from error


def connect(target: str | Path) -> Database:
    """Reach a database; nothing is created in it.

    `target` is a path or `sqlite:///path` (the file is made with mode 0600), `sqlite://` (in memory) or a PostgreSQL
    URL.

    Raises:
        ConfigError: another kind of URL.
        StoreUnavailable: the file cannot be made.
    """
    if isinstance(target, str) and "://" not in target:
        target = Path(target)
    if isinstance(target, Path):
        return Database(_sqlite(target))
    try:
        url = sa.make_url(target)
    except sa.exc.ArgumentError as error:
        raise ConfigError(f"store.state is not an SQLAlchemy URL: {error}") from error
    match url.get_backend_name():
        case "sqlite":
            return Database(_sqlite(Path(url.database) if url.database not in (None, "", ":memory:") else None))
        case "postgresql":
            return Database(_postgresql(url))
    raise ConfigError(
        f"store.state cannot be {url.get_backend_name()}", hint="sqlite and postgresql+psycopg://... are supported"
    )


def _sqlite(path: Path | None) -> sa.Engine:
    if path is None:
        engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        _private(path)
        url = sa.URL.create("sqlite", database=str(path))
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise StoreUnavailable(f"the state store {path} cannot be opened: {error.strerror}") from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; `_begin_sqlite` does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer takes the lock at once: taking it later fails without waiting when another has written meanwhile."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(url: sa.URL) -> sa.Engine:
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MOST_CONNECTIONS - KEPT_CONNECTIONS,
        connect_args={name: value for name, value in POSTGRESQL_ARGUMENTS.items() if name not in url.query},
    )


def insert(connection: sa.Connection, table: sa.Table) -> Any:
    """An INSERT that knows ON CONFLICT, in the database's own dialect."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def put(connection: sa.Connection, table: sa.Table, *rows: Mapping[str, Any]) -> None:
    """Insert each row, or replace in the one with the same primary key the columns that the rows name."""
    if not rows:
        return
    statement = insert(connection, table)
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), [dict(row) for row in rows])

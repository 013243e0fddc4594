from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ringfence.errors import ConfigError, StoreUnavailable
from ringfence.store.database.connection import connect, put
from ringfence.store.database.tables import HOSTS, METADATA


def test_sqlite_syncs_every_commit_and_waits_for_others(tmp_path: Path) -> None:
    database = connect(tmp_path / "x.db")
    with database.reading() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        assert found == ["wal", 2]  # 2: FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 15_000
    database.close()


@pytest.mark.parametrize("form", ["path", "text", "url"])
def test_a_file_is_made_for_its_owner_alone(tmp_path: Path, form: str) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"")
    path.chmod(0o644)
    connect({"path": path, "text": str(path), "url": f"sqlite:///{path}"}[form]).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failed_transaction_leaves_nothing_behind() -> None:
    database = connect("sqlite://")
    with database.writing() as connection:
        METADATA.create_all(connection)
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.execute(
            sa.text("INSERT INTO hosts (host, reported, facts) VALUES ('h', '2026-01-01 00:00:00.000000', '{}')")
        )
        raise ZeroDivisionError
    with database.reading() as connection:
        assert connection.execute(sa.select(HOSTS)).all() == []
        put(connection, HOSTS)  # no rows: nothing to do
    database.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database" * 100)
    database = connect(tmp_path / "x.db")
    with pytest.raises(StoreUnavailable, match="not a database"), database.reading():
        pass
    database.close()
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        connect(tmp_path / "none" / "x.db")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    database = connect("postgresql://u:p@127.0.0.1:9/x")
    with pytest.raises(StoreUnavailable), database.reading():
        pass
    database.close()


def _postgresql(query: str = "") -> tuple[sa.Engine, dict[str, Any]]:
    """The engine, and what its connections would be made with."""
    engine = connect(f"postgresql://u:p@127.0.0.1:9/x{query}")._engine
    asked: list[dict[str, Any]] = []

    @sa.event.listens_for(engine, "do_connect")
    def refuse(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        asked.append(parameters)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.connect()
    return engine, asked[0]


def test_a_postgresql_that_vanished_is_noticed_and_few_connections_are_kept() -> None:
    engine, parameters = _postgresql()
    assert parameters.items() >= {
        ("connect_timeout", 5), ("keepalives", 1), ("keepalives_idle", 10), ("keepalives_interval", 5),
        ("keepalives_count", 3), ("tcp_user_timeout", 15_000),
    }  # fmt: skip
    pool = engine.pool
    assert isinstance(pool, sa.QueuePool)
    assert (pool.size(), pool._max_overflow) == (2, 13)
    engine.dispose()


def test_the_address_of_a_postgresql_may_say_otherwise() -> None:
    engine, parameters = _postgresql("?keepalives_idle=60")
    assert (parameters["keepalives_idle"], parameters["keepalives_count"]) == ("60", 3)
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://h/d", "://", "oracle://h"])
def test_another_kind_of_database_is_a_mistake_in_the_settings(url: str) -> None:
    with pytest.raises(ConfigError):
        connect(url)

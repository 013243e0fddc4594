"""Real Redis and PostgreSQL on loopback, each in a temporary folder, ended by pid."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from tests.support.namespaces import Fabric
from tests.support.require import command, postgres_folder
from tests.support.wait import wait_until

PASSWORD = "ringfence-test"


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def daemon(argv: Sequence[str | Path], *, log: Path, user: str = "", **options: object) -> Iterator[subprocess.Popen]:
    """Run a server in the foreground of its own session as `user`; ended with SIGTERM, after 10 s with SIGKILL."""
    identity: dict[str, object] = {}
    if user and os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(item) for item in argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            **identity,
            **options,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def alive(process: subprocess.Popen, log: Path) -> None:
    """Fail with the end of the log when the server has ended."""
    if process.poll() is not None:
        raise AssertionError(f"{process.args[0]} ended with {process.returncode}: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """A Redis on loopback; gives its URL."""
    with Fabric() as fabric:
        folder, port = fabric.folder("redis"), free_port()
        config = folder / "redis.conf"
        config.write_text(
            f"bind 127.0.0.1\nport {port}\ndir {folder}\nsave ''\nappendonly no\nrequirepass {PASSWORD}\n"
            'proc-title-template "{title} {config-file}"\n'
        )
        with daemon([command("redis-server") or "redis-server", config], log=folder / "log") as process:
            url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"

            def ready() -> bool:
                alive(process, folder / "log")
                with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
                    return bool(client.ping())
                return False

            wait_until("Redis answers", ready)
            yield url


def empty_redis(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.flushall()


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server; `database()` makes an empty database and gives its SQLAlchemy URL."""

    port: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def dsn(self, database: str = "postgres") -> str:
        """For psycopg and libpq."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        name = f"ringfence{next(self._numbers)}"
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return self.dsn(name).replace("postgresql://", "postgresql+psycopg://")

    def drop(self, url: str) -> None:
        """End what is connected to the database and drop it."""
        name = url.rpartition("/")[2]
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL on loopback with password login. Runs as `postgres` when the tests are root."""
    programs = postgres_folder()
    assert programs is not None
    with Fabric() as fabric:
        folder, port = fabric.folder("pg"), free_port()
        user = "postgres" if os.geteuid() == 0 else ""
        (folder / "password").write_text(PASSWORD)
        if user:
            for item in (folder, folder / "password"):
                os.chown(item, pwd.getpwnam(user).pw_uid, -1)
        log, data = folder / "log", folder / "data"
        setup = [programs / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256", "--encoding=UTF8"]
        setup += ["--locale=C", f"--pwfile={folder}/password", "--no-sync"]
        with daemon(setup, log=log, user=user, cwd=folder) as process:
            if process.wait(60):
                raise AssertionError(f"initdb failed: {log.read_text()[-2000:]}")
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off"}
        run = [programs / "postgres", "-D", data, "-p", str(port)]
        for key, value in options.items():
            run += ["-c", f"{key}={value}"]
        with daemon(run, log=log, user=user, cwd=folder) as process:
            server = Postgres(port)

            def ready() -> bool:
                alive(process, log)
                with contextlib.suppress(psycopg.OperationalError), psycopg.connect(server.dsn()):
                    return True
                return False

            wait_until("PostgreSQL answers", ready, seconds=30)
            yield server

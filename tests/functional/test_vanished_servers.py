"""Servers that hang or vanish without a word: who waits for them gives up within seconds, and nothing is lost."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest
import redis
import sqlalchemy as sa

from ringfence.errors import StoreUnavailable
from ringfence.jobs import create_celery, send_report
from ringfence.service.orders import Orders
from ringfence.store.database.connection import Database, connect
from tests.support.estate import NOW, Estate
from tests.support.namespaces import Fabric, Namespace
from tests.support.relay import Relay
from tests.support.require import require
from tests.support.sockets import inside
from tests.support.wait import wait_until
from web.actions import Actor

ADA = Actor(name="ada", origin="192.0.2.1")
DROP = ("iptables", "-I", "INPUT", "-i", "lo", "-j", "DROP")


WORKER = """
import os, sys
from ringfence.jobs import create_celery

class Work:
    def make_report(self, report_id):
        os.write(1, f"{report_id}\\n".encode())  # Celery makes log lines of what is printed

create_celery(sys.argv[1], Work()).worker_main(["--quiet", "worker", "--pool=solo", "--without-mingle"])
"""
"""A worker that only notes what it was asked for; it is stopped by a signal, which is for a process, not a thread."""


class Worker:
    """That program; `reports` are the ids that it was asked for so far."""

    def __init__(self, url: str, folder: Path) -> None:
        self._output = folder / "worker.out"
        with self._output.open("wb") as output, (folder / "worker.err").open("wb") as errors:
            self.process = subprocess.Popen([sys.executable, "-c", WORKER, url], stdout=output, stderr=errors)

    @property
    def reports(self) -> list[str]:
        return self._output.read_text().split()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()


@pytest.fixture
def silent() -> Iterator[str]:
    """URL of a broker that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


@pytest.mark.timeout(120)
def test_a_report_is_ordered_although_the_broker_never_answers(silent: str, tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        orders = Orders(
            state=estate.state,
            flows=estate.flows,
            audit=estate.audit,
            policy_changed=lambda: None,
            quarantine_changed=lambda: None,
            run_report=partial(send_report, create_celery(silent)),
            clock=lambda: NOW,
        )
        for _ in range(2):
            assert _seconds(lambda: orders.make_report(kind="flow", parameters={}, actor=ADA)) < 15
        assert [item.state for item in estate.state.reports.list()] == ["running"] * 2
        assert estate.actions() == ["ada: report created flow"] * 2


@pytest.mark.servers
@pytest.mark.timeout(180)
def test_a_worker_goes_on_after_its_broker_hung(redis_url: str, tmp_path: Path) -> None:
    app = create_celery(redis_url)
    with Worker(redis_url, tmp_path) as worker:
        send_report(app, "before")
        wait_until("it is made", lambda: worker.reports == ["before"], seconds=30)
        time.sleep(3)  # several times as long as one question of the worker
        with redis.Redis.from_url(redis_url) as broker:
            broker.client_pause(12_000, all=False)
        assert _seconds(lambda: send_report(app, "meanwhile")) < 15
        wait_until("the broker writes again", lambda: _writes(redis_url), seconds=30, every=0.5)
        send_report(app, "after")
        wait_until("it is made", lambda: "after" in worker.reports, seconds=60)


def _writes(url: str) -> bool:
    with redis.Redis.from_url(url, socket_timeout=1, retry=None) as broker:
        try:
            return bool(broker.set("probe", "1"))
        except redis.TimeoutError:
            return False


@pytest.fixture
def far(fabric: Fabric, postgres_url: str) -> Iterator[tuple[Namespace, Database]]:
    """A database with a connection from inside a namespace, over which packets can be dropped."""
    require("iptables")
    namespace = fabric.namespace("far")
    database = connect(postgres_url)
    with Relay(namespace.path, urlsplit(postgres_url).port or 0):
        inside(namespace.path, lambda: _ask(database, "SELECT 1"))
        yield namespace, database
        database.close()


def _ask(database: Database, question: str) -> None:
    with database.reading() as connection:
        connection.execute(sa.text(question))


@pytest.mark.root
@pytest.mark.servers
@pytest.mark.timeout(120)
def test_a_database_that_vanished_is_unavailable_within_seconds(far: tuple[Namespace, Database]) -> None:
    namespace, database = far
    namespace.run(*DROP)

    def ask() -> float:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            _ask(database, "SELECT 1")
        return time.monotonic() - began

    assert inside(namespace.path, ask) < 40


@pytest.mark.root
@pytest.mark.servers
@pytest.mark.timeout(120)
def test_a_database_that_vanishes_over_a_question_is_unavailable_within_seconds(
    far: tuple[Namespace, Database],
) -> None:
    namespace, database = far
    took: list[float] = []

    def ask() -> None:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            _ask(database, "SELECT pg_sleep(100)")
        took.append(time.monotonic() - began)

    asking = threading.Thread(target=inside, args=(namespace.path, ask), daemon=True)
    asking.start()
    time.sleep(1)
    namespace.run(*DROP)
    asking.join(60)
    assert took and took[0] < 50

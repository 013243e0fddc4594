"""The composition root: parts in a safe order, nothing left locked after a failure, and a broker that may be away."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.log import AuditLog
from ringfence.clock import utc_now
from ringfence.config import Config, load
from ringfence.errors import ConfigError, StoreLocked
from ringfence.model.event import EventAction
from ringfence.service.lock import DataLock
from ringfence.service.notes import record
from ringfence.wiring import SERVER, Roles, build, build_jobs, changed_elsewhere
from tests.support.wait import wait_until
from web.changes import TOPICS

ALONE = Roles(watch=False, web=True, jobs=True)


def _config(folder: Path, **flags: str) -> Config:
    return load(
        environment={}, flags={"general.data_dir": str(folder), "web.port": "0", "docker.endpoints": ""} | flags
    )


def test_a_built_service_starts_and_stops_and_leaves_the_folder_free(tmp_path: Path) -> None:
    for _ in range(2):
        instance = build(_config(tmp_path), ALONE)
        instance.lifecycle.start()
        assert instance.limits() == ()
        instance.lifecycle.stop()
    DataLock(tmp_path).release()


def test_a_start_and_a_stop_are_in_the_audit_log_with_what_commands_left(tmp_path: Path) -> None:
    config = _config(tmp_path)
    instance = build(config, ALONE)
    record(config, EventAction.IMPORT, "a.pcap")
    instance.lifecycle.start()
    assert instance.url is not None
    assert instance.url().startswith("http://127.0.0.1:")
    assert not instance.url().endswith(":0")
    wait_until("it is taken up", lambda: not list((tmp_path / "notes").iterdir()))
    instance.lifecycle.stop()
    with AuditLog(tmp_path / "audit", utc_now) as log:
        actions = [item.event.action for item in log.page().records]
    assert sorted(actions) == ["import", "service started", "service stopped"]
    assert actions[0] == "service stopped"


def test_a_second_service_on_the_folder_is_refused(tmp_path: Path) -> None:
    first = build(_config(tmp_path), SERVER)
    first.lifecycle.start()
    with pytest.raises(StoreLocked, match="another Ringfence"):
        build(_config(tmp_path), SERVER)
    first.lifecycle.stop()


def test_what_fails_while_it_is_built_leaves_nothing_locked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"store\.flows"):
        build(_config(tmp_path, **{"store.flows": "mysql"}), SERVER)
    instance = build(_config(tmp_path), SERVER)
    instance.lifecycle.start()
    instance.lifecycle.stop()


def test_the_jobs_of_a_worker_know_the_work(tmp_path: Path) -> None:
    app, close = build_jobs(_config(tmp_path, **{"jobs.broker": "redis://127.0.0.1:1/0"}))
    close()
    assert {"ringfence.report", "ringfence.retention", "ringfence.pending"} <= set(app.tasks)


def test_a_page_looks_itself_for_what_other_processes_change(tmp_path: Path) -> None:
    shared = changed_elsewhere(_config(tmp_path, **{"store.state": "postgresql+psycopg://u:p@h/d"}))
    assert shared == {*TOPICS, "flows"}
    assert changed_elsewhere(_config(tmp_path, **{"jobs.broker": "redis://127.0.0.1:1"})) == {"report"}
    assert changed_elsewhere(_config(tmp_path)) == frozenset()

"""Jobs: the in-memory worker runs what is sent, and messages are JSON only."""

import threading

from celery.beat import Scheduler

from ringfence.clock import utc_now
from ringfence.jobs import (
    FIRST_RETENTION_SECONDS,
    MEMORY,
    REPORT_JOB,
    RETENTION_SECONDS,
    EmbeddedJobs,
    create_celery,
)


class RecordingWork:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.reports: list[str] = []

    def make_report(self, report_id: str) -> None:
        self.reports.append(report_id)
        self.done.set()

    def apply_retention(self) -> None:
        return

    def pending_reports(self) -> tuple[str, ...]:
        return ()


def test_a_report_sent_to_the_embedded_worker_is_made() -> None:
    work = RecordingWork()
    app = create_celery(MEMORY, work)
    jobs = EmbeddedJobs(app)
    jobs.start()
    try:
        app.send_task(REPORT_JOB, args=["r1"])
        assert work.done.wait(20)
    finally:
        jobs.stop()
    assert work.reports == ["r1"]


def test_retention_is_due_soon_after_a_start_and_then_once_an_hour() -> None:
    app = create_celery(MEMORY)
    entry = Scheduler(app, lazy=False).schedule["retention"]
    assert not entry.is_due().is_due
    assert 0 < entry.is_due().next <= FIRST_RETENTION_SECONDS
    entry.last_run_at = utc_now()
    assert RETENTION_SECONDS - 5 < entry.is_due().next <= RETENTION_SECONDS


def test_what_is_sent_on_a_schedule_expires_before_it_piles_up() -> None:
    schedule = create_celery(MEMORY).conf.beat_schedule
    assert {name: entry["options"]["expires"] for name, entry in schedule.items()} == {
        "retention": 3600.0,
        "pending reports": 15.0,
    }


def test_only_json_is_accepted() -> None:
    conf = create_celery(MEMORY, RecordingWork()).conf
    assert (conf.accept_content, conf.task_serializer) == (["json"], "json")


def test_nobody_waits_for_ever_for_a_broker_and_a_worker_asks_for_less_than_that() -> None:
    app = create_celery("redis://127.0.0.1:1/0")
    with app.connection_for_write() as connection:
        options = connection.transport_options
        assert (options["socket_timeout"], options["socket_connect_timeout"]) == (5.0, 3.0)
        assert options["socket_keepalive"]
        assert connection.transport.brpop_timeout < options["socket_timeout"] / 2
    assert app.conf.broker_pool_acquire_timeout == 5.0

"""Background work on Celery: in memory inside `ringfence up`, on Redis with `ringfence worker` and `ringfence beat`.

Messages are JSON and carry ids only; the truth is in the state store, so a message that is delivered twice or lost
changes nothing: every job looks at the record before it acts.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from celery import Celery
from celery.beat import EmbeddedService
from celery.schedules import schedule
from kombu.exceptions import OperationalError

from ringfence.clock import utc_now
from ringfence.log import logger

MEMORY = "memory"
REPORT_JOB = "ringfence.report"
RETENTION_JOB = "ringfence.retention"
PENDING_JOB = "ringfence.pending"

RETENTION_SECONDS = 3600.0
FIRST_RETENTION_SECONDS = 60.0
PENDING_SECONDS = 15.0

BROKER_PATIENCE = {"socket_timeout": 5.0, "socket_connect_timeout": 3.0, "socket_keepalive": True}
"""Towards Redis, in seconds: nobody waits for ever for one that hangs. A worker asks for at most 1 s at a time (BRPOP),
well below the timeout."""
POOL_SECONDS = 5.0
"""How long a sender waits for a connection that others have in use."""


class Work(Protocol):
    """What the jobs do; the composition root provides it."""

    def make_report(self, report_id: str) -> None:
        """Compute the report that the record asks for, unless it is done already."""

    def apply_retention(self) -> None:
        """Delete final flows past their time."""

    def pending_reports(self) -> tuple[str, ...]:
        """Reports that were ordered and not finished: a lost message is made good from here."""


def create_celery(broker: str, work: Work | None = None) -> Celery:
    """A Celery application whose tasks call `work`; who only sends has none. `broker` is `memory` or a Redis URL."""
    url = "memory://localhost/" if broker == MEMORY else broker
    app = Celery("ringfence", broker=url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        beat_schedule=_schedule(utc_now()),
        beat_scheduler="celery.beat:Scheduler",
        broker_connection_retry_on_startup=True,
        broker_pool_acquire_timeout=POOL_SECONDS,
        broker_transport_options=BROKER_PATIENCE,
        enable_utc=True,
        result_backend=None,
        task_acks_late=True,
        task_default_queue="ringfence",
        task_ignore_result=True,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
    )

    if work is not None:
        _add_tasks(app, work)
    return app


def send_report(app: Celery, report_id: str) -> None:
    """Hand a report to the workers; while the broker is away it waits in the state store, and beat sends it again."""
    try:
        app.send_task(REPORT_JOB, args=[report_id], retry=False)
    except OperationalError as error:
        logger("jobs").warning("broker is away, the report waits", report=report_id, error=str(error))


def _add_tasks(app: Celery, work: Work) -> None:
    @app.task(name=REPORT_JOB)  # type: ignore[untyped-decorator]
    def report(report_id: str) -> None:
        work.make_report(report_id)

    @app.task(name=RETENTION_JOB)  # type: ignore[untyped-decorator]
    def retention() -> None:
        work.apply_retention()

    @app.task(name=PENDING_JOB)  # type: ignore[untyped-decorator]
    def pending() -> None:
        for report_id in work.pending_reports():
            # What lies in the queue for longer is sent again from here: messages do not pile up.
            app.send_task(REPORT_JOB, args=[report_id], expires=PENDING_SECONDS)


def _schedule(now: datetime) -> Mapping[str, Any]:
    """Kept in memory, so it begins anew with every start: what is due once an hour is due soon after the start as well,
    or a service that is restarted more often would never do it. A message expires when its successor is sent."""
    return {
        "retention": {
            "task": RETENTION_JOB,
            "schedule": schedule(RETENTION_SECONDS),
            "last_run_at": now - timedelta(seconds=RETENTION_SECONDS - FIRST_RETENTION_SECONDS),
            "options": {"expires": RETENTION_SECONDS},
        },
        "pending reports": {
            "task": PENDING_JOB,
            "schedule": schedule(PENDING_SECONDS),
            "options": {"expires": PENDING_SECONDS},
        },
    }


class EmbeddedJobs:
    """A worker and a beat as threads of this process, for the in-memory broker."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._log = logger("jobs")
        self._worker = app.WorkController(pool_cls="solo", concurrency=1, without_heartbeat=True, without_mingle=True)
        self._beat = EmbeddedService(app, max_interval=5, thread=True, scheduler_cls=app.conf.beat_scheduler)
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._beat.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Finish the job in hand within `timeout` seconds; what is left is taken up from the state store."""
        self._beat.stop()
        self._worker.stop()
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self._worker.start()
        except Exception:
            self._log.exception("job worker ended")
            raise

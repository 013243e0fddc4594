"""Jobs: the in-memory worker runs what is sent, and messages are JSON only."""

import threading

from ringfence.jobs import MEMORY, REPORT_JOB, EmbeddedJobs, create_celery


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


def test_only_json_is_accepted() -> None:
    conf = create_celery(MEMORY, RecordingWork()).conf
    assert (conf.accept_content, conf.task_serializer) == (["json"], "json")

"""Records of the machinery wait while the log cannot be written, and keep their order."""

import threading
from datetime import UTC, datetime

from ringfence.errors import AuditUnavailable
from ringfence.model.event import AuditEvent, AuditRecord, EventAction
from ringfence.service.accounting import WAITING, Accounting

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class BreakableLog:
    def __init__(self) -> None:
        self.broken = False
        self.targets: list[str] = []

    def append(self, event: AuditEvent) -> AuditRecord:
        if self.broken:
            raise AuditUnavailable("disk full")
        self.targets.append(event.target)
        return AuditRecord(sequence=len(self.targets), previous="", hash="", event=event)


def _event(target: str) -> AuditEvent:
    return AuditEvent(at=NOW, actor="enforcer", action=EventAction.RULESET_APPLIED, target=target)


def test_what_could_not_be_written_goes_first_when_the_log_is_back() -> None:
    log = BreakableLog()
    accounting = Accounting(log)
    log.broken = True
    accounting.account(_event("one"))
    accounting.account(_event("two"))
    assert accounting.waiting == 2
    log.broken = False
    accounting.account(_event("three"))
    assert (log.targets, accounting.waiting) == (["one", "two", "three"], 0)


def test_many_threads_account_each_event_once() -> None:
    log = BreakableLog()
    accounting = Accounting(log)

    def work(name: str) -> None:
        for number in range(200):
            accounting.account(_event(f"{name}{number}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(log.targets) == sorted(f"{name}{number}" for name in "abcd" for number in range(200))


def test_what_finds_no_room_is_counted() -> None:
    log = BreakableLog()
    accounting = Accounting(log)
    log.broken = True
    for number in range(WAITING + 3):
        accounting.account(_event(str(number)))
    assert (accounting.waiting, accounting.dropped) == (WAITING, 3)

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
        self.most = 2 * WAITING
        self.events: list[AuditEvent] = []

    @property
    def targets(self) -> list[str]:
        return [event.target for event in self.events]

    def append(self, event: AuditEvent) -> AuditRecord:
        if self.broken or len(self.events) >= self.most:
            raise AuditUnavailable("disk full")
        self.events.append(event)
        return AuditRecord(sequence=len(self.events), previous="", hash="", event=event)


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


def test_what_finds_no_room_is_counted_and_said_once_when_the_log_is_back() -> None:
    log = BreakableLog()
    accounting = Accounting(log, clock=lambda: NOW)
    log.broken = True
    for number in range(WAITING + 3):
        accounting.account(_event(str(number)))
    assert (accounting.waiting, accounting.dropped) == (WAITING, 3)
    log.broken = False
    accounting.flush()
    accounting.account(_event("later"))
    assert log.targets[WAITING - 1 :] == [str(WAITING - 1), "audit log", "later"]
    said = log.events[WAITING]
    assert (said.at, said.action, said.detail["events"]) == (NOW, EventAction.AUDIT_DROPPED, 3)
    assert accounting.dropped == 0


def test_that_something_found_no_room_is_kept_until_it_can_be_written() -> None:
    log = BreakableLog()
    accounting = Accounting(log)
    log.broken = True
    for number in range(WAITING + 1):
        accounting.account(_event(str(number)))
    log.broken, log.most = False, WAITING
    accounting.flush()
    assert (accounting.waiting, accounting.dropped) == (0, 1)
    log.most = WAITING + 1
    accounting.flush()
    assert (log.targets[-1], accounting.dropped) == ("audit log", 0)

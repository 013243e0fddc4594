"""Quarantine orders: from the state store to the enforcer and back, with their proof.

An order is a `Quarantine` in state `applying`; a wish to end it is `released` set while the state is not `released`.
Whoever writes the order (a person through the web, automation here) and whoever carries it out need not be the same
process: the state store is between them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from ringfence.clock import Clock
from ringfence.errors import RingfenceError, StoreUnavailable
from ringfence.model.event import AuditEvent, EventAction
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.model.workload import Workload
from ringfence.store.state import Quarantines

EXPIRY = "expiry"
AT_ONCE = 4
"""Orders carried out side by side: a tool that hangs for one workload must not hold up all others."""
FIRST_RETRY, LAST_RETRY = timedelta(seconds=1), timedelta(minutes=1)


class Isolator(Protocol):
    """The enforcer's half of a quarantine."""

    def order(self, workload: Workload, quarantine: Quarantine) -> Quarantine: ...

    def release(self, quarantine: Quarantine) -> Quarantine:
        """End it, also while its workload is away: it must not be isolated when it comes back."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why a release did not succeed yet, and when it is tried again."""

    problem: str
    pause: timedelta
    again: datetime


class Containment:
    """Carries out the orders for the workloads of this kernel."""

    def __init__(
        self,
        *,
        quarantines: Quarantines,
        isolator: Isolator,
        hosts: Callable[[], Collection[str]],
        find: Callable[[str], Workload | None],
        account: Callable[[AuditEvent], None],
        changed: Callable[[Quarantine], None],
        clock: Clock,
    ) -> None:
        self._quarantines = quarantines
        self._isolator = isolator
        self._hosts = hosts
        self._find = find
        self._account = account
        self._changed = changed
        self._clock = clock
        self._troubles: dict[str, _Trouble] = {}

    def step(self) -> bool:
        """Carry out everything that is due now; True when an order changed meanwhile, so that more is due.

        Raises:
            StoreUnavailable: something could not be read or written down; what could be done was done.
        """
        hosts = self._hosts()
        active = [item for item in self._quarantines.active() if item.host in hosts]
        self._troubles = {item.id: self._troubles[item.id] for item in active if item.id in self._troubles}
        due = [item for item in active if self._due(item)]
        if not due:
            return False
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="containment") as pool:
            return any(list(pool.map(self._attend, due)))

    def _due(self, quarantine: Quarantine) -> bool:
        if not self._ending(quarantine):
            return quarantine.state is QuarantineState.APPLYING
        trouble = self._troubles.get(quarantine.id)
        return trouble is None or trouble.again <= self._clock()

    def _ending(self, quarantine: Quarantine) -> bool:
        return quarantine.released is not None or quarantine.expires <= self._clock()

    def _attend(self, quarantine: Quarantine) -> bool:
        """Whatever one order meets, the others are carried out."""
        ending = self._ending(quarantine)
        try:
            return self._release(quarantine) if ending else self._order(quarantine)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 -- it becomes the order's state and is accounted for
            problem = str(error) if isinstance(error, RingfenceError) else f"{type(error).__name__}: {error}"
            if ending:
                return self._note_trouble(quarantine, problem)
            return self._settle(replace(quarantine, state=QuarantineState.FAILED), problem)

    def _order(self, quarantine: Quarantine) -> bool:
        workload = self._find(quarantine.workload)
        return workload is not None and self._settle(self._isolator.order(workload, quarantine), "")

    def _settle(self, quarantine: Quarantine, problem: str) -> bool:
        """Write down how it went; True when that came too late, because its end was wished meanwhile."""
        taken = self._quarantines.settle(quarantine)
        self._account(self._event(EventAction.QUARANTINE_STATE, quarantine, "enforcer", problem))
        self._changed(quarantine)
        return not taken

    def _release(self, quarantine: Quarantine) -> bool:
        if quarantine.released is None:
            quarantine = replace(quarantine, released=self._clock(), released_by=EXPIRY)
            if not self._quarantines.wish_release(quarantine.id, at=self._clock(), by=EXPIRY):
                return True
        done = replace(self._isolator.release(quarantine), state=QuarantineState.RELEASED)
        if self._quarantines.settle(done):
            self._account(self._event(EventAction.QUARANTINE_RELEASED, done, done.released_by or EXPIRY, ""))
            self._changed(done)
        return False

    def _note_trouble(self, quarantine: Quarantine, problem: str) -> bool:
        """The state stays what it is, so that the wish to end it stays in sight; only news is accounted for."""
        before = self._troubles.get(quarantine.id)
        pause = min(LAST_RETRY, before.pause * 2) if before else FIRST_RETRY
        self._troubles[quarantine.id] = _Trouble(problem, pause, self._clock() + pause)
        if before is None or before.problem != problem:
            problem = f"the release failed: {problem}"
            self._account(self._event(EventAction.QUARANTINE_STATE, quarantine, "enforcer", problem))
        return False

    def _event(self, action: EventAction, quarantine: Quarantine, actor: str, problem: str) -> AuditEvent:
        checks = quarantine.proof.checks if quarantine.proof else ()
        detail = {
            "quarantine": quarantine.id,
            "workload": quarantine.workload,
            "state": quarantine.state.value,
            "connections_cut": quarantine.connections_cut,
            "checks": [{"name": check.name, "passed": check.passed, "seen": check.detail} for check in checks],
        } | ({"problem": problem} if problem else {})
        outcome = "failure" if problem or quarantine.state is QuarantineState.FAILED else "success"
        return AuditEvent(
            at=self._clock(),
            actor=actor,
            action=action,
            target=quarantine.workload_name,
            outcome=outcome,
            detail=detail,
        )

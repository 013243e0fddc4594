"""Quarantine orders: from the state store to the enforcer and back, with their proof.

An order is a `Quarantine` in state `applying`; a wish to end it is `released` set while the state is not `released`.
Whoever writes the order (a person through the web, automation here) and whoever carries it out need not be the same
process: the state store is between them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from ringfence.clock import Clock
from ringfence.errors import RingfenceError, StoreUnavailable
from ringfence.log import logger
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

    def release(self, quarantine: Quarantine, workload: Workload | None) -> Quarantine:
        """End it, also while its workload is away (None): it must not be isolated when it comes back."""


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
        complete: Callable[[], Collection[str]],
        find: Callable[[str], Workload | None],
        account: Callable[[AuditEvent], None],
        changed: Callable[[Quarantine], None],
        clock: Clock,
    ) -> None:
        """`hosts` are ours; of those in `complete` every workload is known, so whoever is not found there is gone."""
        self._quarantines = quarantines
        self._isolator = isolator
        self._hosts = hosts
        self._complete = complete
        self._find = find
        self._account = account
        self._changed = changed
        self._clock = clock
        self._troubles: dict[str, _Trouble] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="containment")
        self._in_hand: set[str] = set()
        self._lock = threading.Lock()
        self._log = logger("containment")
        self.wake: Callable[[], None] = lambda: None
        """Called when an order changed while it was carried out, so that more is due."""

    @property
    def in_hand(self) -> frozenset[str]:
        """The orders that are waiting for their turn or being carried out."""
        with self._lock:
            return frozenset(self._in_hand)

    def step(self) -> None:
        """Begin everything that is due now and not in hand; does not wait for it.

        Raises:
            StoreUnavailable: it is not known what is due.
        """
        hosts, in_hand = self._hosts(), self.in_hand  # first: an order that is done by now is read as it is then
        active = [item for item in self._quarantines.active() if item.host in hosts]
        for gone in self._troubles.keys() - {item.id for item in active}:
            del self._troubles[gone]
        for item in active:
            if item.id not in in_hand and self._due(item):
                with self._lock:
                    self._in_hand.add(item.id)
                self._pool.submit(self._carry_out, item)

    def stop(self) -> None:
        """Begin nothing more, and wait for what is being carried out: how it went must be written down."""
        self._pool.shutdown(cancel_futures=True)

    def take(self, quarantine: Quarantine) -> None:
        """Write down what the enforcer proved in the background; a state that is news is accounted for.

        Raises:
            StoreUnavailable: it was not written down.
        """
        before = self._quarantines.get(quarantine.id)
        if not self._quarantines.settle(quarantine):
            self.wake()
        elif before is None or before.state is not quarantine.state:
            self._account(self._event(EventAction.QUARANTINE_STATE, quarantine, "enforcer", ""))
        self._changed(quarantine)

    def _carry_out(self, quarantine: Quarantine) -> None:
        again = False
        try:
            again = self._attend(quarantine)
        except StoreUnavailable as error:
            self._log.warning("how an order went was not written down", quarantine=quarantine.id, error=str(error))
        finally:
            with self._lock:
                self._in_hand.discard(quarantine.id)
        if again:
            self.wake()

    def _due(self, quarantine: Quarantine) -> bool:
        if not self._ending(quarantine):
            return quarantine.state is QuarantineState.APPLYING
        if quarantine.host not in self._complete() and self._find(quarantine.workload) is None:
            return False
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
        workload = self._find(quarantine.workload)
        done = replace(self._isolator.release(quarantine, workload), state=QuarantineState.RELEASED)
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

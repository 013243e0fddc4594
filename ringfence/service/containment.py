"""Quarantine orders: from the state store to the enforcer and back, with their proof.

An order is a `Quarantine` in state `applying`; a wish to end it is `released` set while the state is not `released`.
Whoever writes the order (a person through the web, automation here) and whoever carries it out need not be the same
process: the state store is between them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol

from ringfence.clock import Clock
from ringfence.errors import EnforcementFailed
from ringfence.model.event import AuditEvent, EventAction
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.model.workload import Workload
from ringfence.store.state import Quarantines

EXPIRY = "expiry"


class Isolator(Protocol):
    """The enforcer's half of a quarantine."""

    def order(self, workload: Workload, quarantine: Quarantine) -> Quarantine: ...

    def release(self, workload: Workload, quarantine: Quarantine) -> Quarantine: ...


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

    def step(self) -> None:
        """Carry out everything that is due now."""
        hosts = self._hosts()
        for quarantine in self._quarantines.active():
            if quarantine.host not in hosts:
                continue
            try:
                self._carry_out(quarantine)
            except EnforcementFailed as error:
                self._settle(replace(quarantine, state=QuarantineState.FAILED), str(error))

    def _carry_out(self, quarantine: Quarantine) -> None:
        workload = self._find(quarantine.workload)
        if quarantine.released is not None or quarantine.expires <= self._clock():
            self._release(quarantine, workload)
        elif quarantine.state is QuarantineState.APPLYING and workload is not None:
            self._settle(self._isolator.order(workload, quarantine), "")

    def _release(self, quarantine: Quarantine, workload: Workload | None) -> None:
        if quarantine.released is None:
            quarantine = replace(quarantine, released=self._clock(), released_by=EXPIRY)
        done = self._isolator.release(workload, quarantine) if workload is not None else quarantine
        done = replace(done, state=QuarantineState.RELEASED)
        self._quarantines.save(done)
        self._account(self._event(EventAction.QUARANTINE_RELEASED, done, done.released_by or EXPIRY, ""))
        self._changed(done)

    def _settle(self, quarantine: Quarantine, problem: str) -> None:
        self._quarantines.save(quarantine)
        self._account(self._event(EventAction.QUARANTINE_STATE, quarantine, "enforcer", problem))
        self._changed(quarantine)

    def _event(self, action: EventAction, quarantine: Quarantine, actor: str, problem: str) -> AuditEvent:
        checks = quarantine.proof.checks if quarantine.proof else ()
        detail = {
            "quarantine": quarantine.id,
            "workload": quarantine.workload,
            "state": quarantine.state.value,
            "connections_cut": quarantine.connections_cut,
            "checks": [{"name": check.name, "passed": check.passed, "seen": check.detail} for check in checks],
        } | ({"problem": problem} if problem else {})
        outcome = "failure" if quarantine.state is QuarantineState.FAILED else "success"
        return AuditEvent(
            at=self._clock(),
            actor=actor,
            action=action,
            target=quarantine.workload_name,
            outcome=outcome,
            detail=detail,
        )

"""Audit events and small logs for these tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from audit.log import AuditLog
from ringfence.model.event import AuditEvent, EventAction

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def fixed() -> datetime:
    return NOON


def unsynced(descriptor: int) -> None:
    """Takes the place of fsync where durability is not what is tested."""


def event(number: int = 0, action: EventAction = EventAction.LOGIN, **fields: Any) -> AuditEvent:
    given = {"actor": "anna", "target": f"thing {number}", "origin": "192.0.2.7", "detail": {"number": number}} | fields
    return AuditEvent(at=NOON + timedelta(seconds=number), action=action, **given)


def automated(number: int = 0) -> AuditEvent:
    return event(number, EventAction.QUARANTINE_STATE, actor="enforcer", origin="")


def open_log(folder: Path, **options: Any) -> AuditLog:
    return AuditLog(folder, fixed, **({"sync": unsynced, "reserve_bytes": 4096} | options))


def small_log(folder: Path, count: int, **options: Any) -> Path:
    """A log of `count` records; several segments when `segment_bytes` is small."""
    with open_log(folder, **options) as log:
        for number in range(1, count + 1):
            log.append(event(number))
    return folder

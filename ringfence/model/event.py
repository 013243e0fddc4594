"""Audit events: who did what to what, when, from where and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class EventAction(StrEnum):
    """The closed list of what is accounted for."""

    SERVICE_STARTED = "service started"
    SERVICE_STOPPED = "service stopped"
    LOGIN = "login"
    LOGIN_FAILED = "login failed"
    LOGOUT = "logout"
    USER_CREATED = "user created"
    USER_INVITED = "user invited"
    USER_CHANGED = "user changed"
    PASSWORD_CHANGED = "password changed"  # noqa: S105 -- the name of an event
    API_TOKEN_CREATED = "API token created"  # noqa: S105 -- the name of an event
    API_TOKEN_REVOKED = "API token revoked"  # noqa: S105 -- the name of an event
    POLICY_APPLIED = "policy applied"
    POLICY_REFUSED = "policy refused"
    RULESET_APPLIED = "ruleset applied"
    RULESET_FAILED = "ruleset failed"
    DRIFT_REPAIRED = "drift repaired"
    QUARANTINE_ORDERED = "quarantine ordered"
    QUARANTINE_STATE = "quarantine state changed"
    QUARANTINE_RELEASED = "quarantine released"
    RESPONSE_TRIGGERED = "response triggered"
    RESPONSE_WITHHELD = "response withheld"
    FINDING_CHANGED = "finding changed"
    REPORT_CREATED = "report created"
    EXPORT = "export"
    IMPORT = "import"
    GAP_RECORDED = "gap recorded"
    RETENTION = "retention"
    HOST_RETIRED = "host retired"
    ACCESS_DENIED = "access denied"
    AUDIT_RECOVERED = "audit log recovered"
    AUDIT_DROPPED = "audit events dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """What is written to the log before the chain adds sequence number, previous hash and hash."""

    at: datetime
    actor: str
    action: EventAction
    target: str
    outcome: str = "success"
    origin: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", MappingProxyType(dict(self.detail)))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One line of the log: `hash` covers `sequence`, `previous` and the event."""

    sequence: int
    previous: str
    hash: str
    event: AuditEvent

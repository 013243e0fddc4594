"""The state store's protocols: everything that is not a flow, kept in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from ringfence.model.enforcement import Enforcement
from ringfence.model.finding import Finding, FindingState, Severity
from ringfence.model.quarantine import Quarantine
from ringfence.model.verdict import RuleRef
from ringfence.model.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRevision:
    """One applied policy text. Revision 0 is the empty policy and always exists."""

    revision: int
    text: str
    author: str
    reason: str
    applied: datetime


class PolicyHistory(Protocol):
    def current(self) -> PolicyRevision: ...

    def get(self, revision: int) -> PolicyRevision | None: ...

    def list(self, *, limit: int = 100, before: int | None = None) -> tuple[PolicyRevision, ...]:
        """Newest first; `before` continues after that revision."""

    def apply(
        self, *, text: str, author: str, reason: str, at: datetime, expected: int | None = None
    ) -> PolicyRevision:
        """Append a revision; raises `Conflict` when `expected` is given and is not the current revision."""


class RuleNumbers(Protocol):
    """Stable small numbers for rules: the same content in the same policy keeps its number, wherever it stands.

    `rules` are all of one policy set, each with the digest of its content; no two of a policy and direction share one.
    """

    def check(self, rules: Sequence[tuple[RuleRef, str]], *, at: datetime) -> None:
        """Raises `RingfenceError` when there are not numbers enough; changes nothing."""

    def assign(self, rules: Sequence[tuple[RuleRef, str]], *, at: datetime) -> Mapping[RuleRef, int]:
        """Number them. The numbers of others rest from now on and are given away when they rested long enough.

        Raises `RingfenceError` when there are not numbers enough: nothing was changed.
        """

    def lookup(self, number: int) -> RuleRef | None:
        """The rule as it was last assigned."""


class QuarantineReader(Protocol):
    def get(self, quarantine_id: str) -> Quarantine | None: ...

    def active(self) -> tuple[Quarantine, ...]: ...

    def list(self, *, limit: int = 200, after: tuple[datetime, str] | None = None) -> tuple[Quarantine, ...]:
        """Newest first, released ones included; `after` continues after that (created, id)."""


class Quarantines(QuarantineReader, Protocol):
    """Who orders and who carries out write different columns, so that neither overwrites the other's word."""

    def add(self, quarantine: Quarantine) -> None:
        """Keep a new order; one that is kept already stays as it is.

        Raises `Conflict` when the workload has another active one: nothing was kept.
        """

    def wish_release(self, quarantine_id: str, *, at: datetime, by: str) -> bool:
        """Write `released` and `released_by`; False when it is wished or done already."""

    def settle(self, quarantine: Quarantine) -> bool:
        """Write how it went: state, proof and connections cut.

        Of an order whose release is wished only `RELEASED` is taken, of one that ended nothing; False: not taken.
        """


class Findings(Protocol):
    def record(self, finding: Finding) -> tuple[Finding, bool]:
        """Merge with the open finding of the same key (sum of counts, latest `last_seen`); True when it is new."""

    def get(self, finding_id: str) -> Finding | None: ...

    def list(
        self,
        *,
        state: FindingState | None = None,
        limit: int = 200,
        after: tuple[Severity, datetime, str] | None = None,
    ) -> tuple[Finding, ...]:
        """Most severe first, then latest first; `after` continues after that (severity, last seen, id)."""

    def counts(self) -> Mapping[str, int]:
        """Open findings per severity."""

    def update(self, finding: Finding) -> None: ...


class Workloads(Protocol):
    def save(self, workloads: Iterable[Workload]) -> None:
        """Insert or replace by (id, started)."""

    def current(self) -> tuple[Workload, ...]:
        """Every run that has not ended, and the named networks outside."""

    def get(self, workload_id: str) -> Workload | None:
        """Its latest run."""

    def seen(self, start: datetime, end: datetime) -> tuple[Workload, ...]:
        """Every run that overlaps [start, end)."""


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`session_epoch` rises when a password changes or a user logs out everywhere: older sessions end."""

    name: str
    role: Role
    password_hash: str
    session_epoch: int = 0
    disabled: bool = False


class Users(Protocol):
    def save(self, user: User) -> None: ...

    def get(self, name: str) -> User | None: ...

    def list(self) -> tuple[User, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a secret: its SHA-256, what it is for, and a text that says for whom."""

    digest: str
    purpose: str
    subject: str
    expires: datetime


class Tokens(Protocol):
    """One-time logins, API tokens, and sessions that have ended."""

    def add(self, token: Token) -> None: ...

    def take(self, *, digest: str, purpose: str, now: datetime, consume: bool) -> str | None:
        """The subject when the token is valid; a consumed token works once."""

    def list(self, *, purpose: str, now: datetime) -> tuple[Token, ...]:
        """The valid ones, those that last longest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRecord:
    """A report that was made: `digest` is the SHA-256 of what it was computed from, `files` maps format to path.

    `progress` is in percent, 100 only when it is done; `step` says what a running one does, empty before it begins.
    """

    id: str
    kind: str
    title: str
    created: datetime
    author: str
    parameters: Mapping[str, Any]
    digest: str
    files: Mapping[str, str]
    state: str = "done"
    error: str = ""
    progress: int = 0
    step: str = ""


class ReportReader(Protocol):
    def get(self, report_id: str) -> ReportRecord | None: ...

    def list(
        self,
        *,
        state: str | None = None,
        oldest_first: bool = False,
        limit: int = 200,
        after: tuple[datetime, str] | None = None,
    ) -> tuple[ReportRecord, ...]:
        """Newest first, unless asked otherwise; `after` continues a newest-first list after that (created, id)."""


class Reports(ReportReader, Protocol):
    """A running report is made by whoever claimed it, until the claim ends; `save` leaves a claim as it is."""

    def save(self, report: ReportRecord) -> None: ...

    def claim(self, report_id: str, *, now: datetime, until: datetime) -> int:
        """Take a running report that nobody has claimed at `now`; 0 when it is another's, or not running.

        The number of this claim: 1, and one more for each earlier one that was not released.
        """

    def advance(self, report_id: str, *, progress: int, step: str, until: datetime | None = None) -> None:
        """Say how far a running report is, with `until` also how long it is claimed now; one that is not running stays
        as it is."""

    def release(self, report_id: str, *, until: datetime | None = None) -> None:
        """End a claim on a running report before its time: it waits to be begun anew, and the claim does not count.

        With `until` it is the claim that holds until then: where another has been made since, that one stands.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """What a host last said of itself; `facts` are plain figures (events, drops, lag, spool bytes, versions).

    `first_heard` is kept by the store: since when the host reports at all. None before it is stored. `retired`: when a
    person took it out of service, None while it is in service.
    """

    host: str
    at: datetime
    facts: Mapping[str, Any]
    first_heard: datetime | None = None
    retired: datetime | None = None
    retired_reason: str = ""


class Hosts(Protocol):
    def report(self, status: HostStatus) -> None:
        """Replace what the host said before; the moment it was first heard stays. A retired host is back in service."""

    def retire(self, host: str, *, at: datetime, reason: str) -> bool:
        """Take the host out of service until it reports again; False when no such host has ever reported."""

    def list(self) -> tuple[HostStatus, ...]: ...


class Enforcements(Protocol):
    def save(self, enforcement: Enforcement) -> None:
        """Insert or replace by workload."""

    def get(self, workload: str) -> Enforcement | None: ...

    def list(self) -> tuple[Enforcement, ...]: ...


class Deletions(Protocol):
    """Up to when records were deleted because of their age. Whatever process deletes notes it, reports read it."""

    def note(self, *, what: str, before: datetime) -> None:
        """Records that ended before that moment are gone; an earlier moment than the known one changes nothing."""

    def before(self, what: str) -> datetime | None:
        """None: nothing of it was ever deleted."""


class State(Protocol):
    """All repositories over one database."""

    policies: PolicyHistory
    rule_numbers: RuleNumbers
    quarantines: Quarantines
    findings: Findings
    workloads: Workloads
    users: Users
    tokens: Tokens
    reports: Reports
    hosts: Hosts
    enforcements: Enforcements
    deletions: Deletions

    def close(self) -> None: ...

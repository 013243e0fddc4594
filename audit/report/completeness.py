"""How complete the picture is: the gaps of the window, what was deleted, and whether the audit log is intact.

Every report has this section, and every claim of absence goes through it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from audit.report.document import Column, Fact, Kind, Note, Section, Table, Weight
from audit.report.sources import Sources
from audit.verify import Verification
from ringfence.model.event import AuditRecord
from ringfence.model.gap import Gap
from ringfence.store.state import HostStatus, State

FLOWS = "flows"
"""What retention deletes, in the state store's list of deletions; gaps of that age go with them."""
HEARTBEAT = timedelta(seconds=60)
"""A host that was silent for longer before the end of the window may have seen something that is not stored."""
HELD_UP = "held_up_since"
"""Of a host's facts: since when (ISO 8601) its spool holds what it saw, None while nothing waits longer than usual."""
MERGED = timedelta(seconds=60)
"""What was put into a spool may tell of a time that much earlier: of a whole tick, or of a connection's late end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """What stands between the records and the truth. `limits` are sentences; none of them: the picture is whole.

    `retired` are the hosts that a person took out of service before the window ended.

    `anchor` is the last audit record before the first one of after the window, so that a report of the past has the
    same digest however much was recorded since, and whatever time that is said to be of.
    """

    gaps: tuple[Gap, ...]
    verification: Verification | None
    deleted_before: datetime | None
    limits: tuple[str, ...]
    anchor: AuditRecord | None = None
    retired: tuple[HostStatus, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.limits


def examine_completeness(sources: Sources) -> Completeness:
    """Ask the stores for gaps, hosts and what was deleted, and verify the log."""
    gaps, hosts = sources.gaps(), sources.state.hosts.list()
    start, end = sources.parameters.start, sources.parameters.end
    deleted = sources.state.deletions.before(FLOWS)
    verification = sources.trail.verify() if sources.trail is not None else None
    limits: list[str] = []
    if gaps:
        limits.append(f"{_gaps_in_words(gaps)}; what happened then may be missing")
    limits += unrecorded(sources.state, start, end)
    if sources.parameters.filter_text:
        limits.append("only connections that match the filter were looked at")
    limits += _silent_hosts(hosts, start, end)
    if verification is None or not verification.ok:
        limits.append("what only an intact audit log can say (refused changes, repairs) is not known")
    return Completeness(
        gaps=gaps,
        verification=verification,
        deleted_before=deleted,
        limits=tuple(limits),
        anchor=_anchor(sources),
        retired=tuple(item for item in hosts if item.retired is not None and item.retired < end),
    )


def limited(completeness: Completeness, limit: str) -> Completeness:
    """The same with one more reason why it is not whole."""
    return replace(completeness, limits=(*completeness.limits, limit))


def gap_notes(completeness: Completeness) -> tuple[Note, ...]:
    """For the top of a report: everything that makes its figures lower bounds."""
    notes = [Note(text=_sentence(limit), weight=Weight.GAP) for limit in completeness.limits]
    found = completeness.verification
    if found is not None and not found.ok:
        text = "This report was made without the audit log" if found.absent else "The audit log is not intact"
        notes.append(Note(text=f"{text}: {found.problem}.", weight=Weight.WARNING))
    return tuple(notes)


def completeness_section(completeness: Completeness) -> Section:
    """The section itself; last in every report."""
    found = completeness.verification
    if found is None or found.absent:
        state = "not readable from the process that made this report"
    else:
        state = "intact" if found.ok else f"NOT intact: {found.problem}"
    facts = [Fact(label="Gaps", value=len(completeness.gaps), kind=Kind.NUMBER)]
    known = [gap.lost for gap in completeness.gaps if gap.lost is not None]
    if completeness.gaps:
        unknown = len(completeness.gaps) - len(known)
        facts.append(Fact(label="Records known to be lost", value=sum(known), kind=Kind.NUMBER))
        facts.append(Fact(label="Gaps of unknown size", value=unknown, kind=Kind.NUMBER))
    facts.append(Fact(label="Audit log", value=state))
    if completeness.anchor is not None:
        facts.append(Fact(label="Audit records up to then", value=completeness.anchor.sequence, kind=Kind.NUMBER))
        facts.append(Fact(label="Hash of the last of them", value=completeness.anchor.hash, kind=Kind.CODE))
    table = Table(
        key="gaps",
        title="Gaps in the window",
        columns=(
            Column(title="Host"),
            Column(title="From", kind=Kind.TIME),
            Column(title="To", kind=Kind.TIME),
            Column(title="Cause"),
            Column(title="Lost", kind=Kind.NUMBER),
            Column(title="Detail"),
        ),
        rows=tuple(
            (gap.host, gap.started, gap.ended, gap.cause.value, gap.lost, gap.detail) for gap in completeness.gaps
        ),
        empty="No gap was recorded in this window.",
        note="An empty “lost” means that nobody can know how many.",
    )
    text = (
        "The records of this window are complete as far as Ringfence can know."
        if completeness.whole
        else "The figures of this report are lower bounds, and it claims no absence: "
        + "; ".join(completeness.limits)
        + "."
    )
    return Section(
        key="completeness",
        title="How complete this is",
        text=text,
        notes=_retired_in_words(completeness.retired),
        facts=tuple(facts),
        tables=(table,),
    )


def _retired_in_words(hosts: Sequence[HostStatus]) -> tuple[Note, ...]:
    said = [f"{item.host} on {_moment(item.retired)} ({item.retired_reason})" for item in hosts if item.retired]
    return (Note(text=f"Taken out of service, and not waited for since: {_listed(said)}."),) if said else ()


def with_caveat(sections: tuple[Section, ...], completeness: Completeness) -> tuple[Section, ...]:
    """Over a picture that is not whole, an empty table says that it proves nothing."""
    if completeness.whole:
        return sections
    return tuple(
        replace(
            section,
            tables=tuple(
                replace(table, empty=f"{table.empty} That does not mean there was none: the picture is not complete.")
                if table.empty and not table.rows and section.key != "completeness"
                else table
                for table in section.tables
            ),
        )
        for section in sections
    )


def unrecorded(state: State, start: datetime, end: datetime | None = None) -> list[str]:
    """Why the stores do not hold all that happened since `start`, beside recorded gaps: deleted, never watched, or
    not stored yet. `end` None: until now.
    """
    deleted = state.deletions.before(FLOWS)
    gone = (
        []
        if deleted is None or deleted <= start
        else [f"what ended before {_moment(deleted)} was deleted by retention"]
    )
    hosts = state.hosts.list()
    return gone + _unwatched(hosts, start) + _held_up(_serving(hosts, start), end)


def _unwatched(hosts: Sequence[HostStatus], start: datetime) -> list[str]:
    if not hosts:
        return ["no host has ever reported, so nothing was watched"]
    serving = _serving(hosts, start)
    if not serving:
        return ["every host was taken out of service before, so nothing was watched"]
    late = {item.host: item.first_heard for item in serving if item.first_heard is None or item.first_heard > start}
    if not late:
        return []
    since = max((moment for moment in late.values() if moment is not None), default=None)
    all_since = "since" if len(late) == 1 else "all of them since"
    when = f" ({all_since} {_moment(since)})" if since is not None else ""
    return [f"not watched from the start of the window: {_listed(sorted(late))}{when}"]


def _held_up(hosts: Sequence[HostStatus], end: datetime | None) -> list[str]:
    """Hosts whose spool holds flows or gaps that may be of before `end`."""
    told = {item.host: item.facts.get(HELD_UP) for item in hosts}
    waiting = {host: datetime.fromisoformat(since) for host, since in told.items() if since is not None}
    late = sorted(host for host, since in waiting.items() if end is None or since - MERGED < end)
    if not late:
        return []
    since = min(waiting[host] for host in late)
    return [f"what was seen since {_moment(since)} still waits in the spool of {_listed(late)}"]


def _anchor(sources: Sources) -> AuditRecord | None:
    records = sources.trail.records() if sources.trail is not None else iter(())
    within = takewhile(lambda record: record.event.at < sources.parameters.end, records)
    return next(iter(deque(within, maxlen=1)), None)


def _serving(hosts: Sequence[HostStatus], start: datetime) -> list[HostStatus]:
    """Those that were not retired before `start`."""
    return [item for item in hosts if item.retired is None or item.retired > start]


def _silent_hosts(hosts: Sequence[HostStatus], start: datetime, end: datetime) -> list[str]:
    """Hosts that were not heard up to the end of the window, or of their service: what they saw since is not here."""
    serving = _serving(hosts, start)
    silent = sorted(item.host for item in serving if item.at < min(end, item.retired or end) - HEARTBEAT)
    return [f"not heard up to the end of the window: {_listed(silent)}"] if silent else []


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _gaps_in_words(gaps: tuple[Gap, ...]) -> str:
    count = "1 gap" if len(gaps) == 1 else f"{len(gaps)} gaps"
    hosts = sorted({gap.host for gap in gaps})
    where = hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts"
    return f"{count} recorded on {where}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."

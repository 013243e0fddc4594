"""The policy report: what was in force, who changed it and why, and whether the kernel enforced it."""

from __future__ import annotations

import hashlib

from audit.report.completeness import completeness_section, examine_completeness, gap_notes, with_caveat
from audit.report.document import Cell, Column, Document, Fact, Kind, Note, Section, Table, Weight
from audit.report.flow_report import denied_table, most_frequent
from audit.report.policy_rules import rules_section
from audit.report.posture import Posture, examine_posture, in_force_policy, revisions_in_window
from audit.report.sources import STAGED, Sources
from ringfence.model.event import EventAction
from ringfence.model.quarantine import Quarantine
from ringfence.model.verdict import Mode
from ringfence.store.state import PolicyRevision

TITLE = "Policy report"


def make_policy_report(sources: Sources) -> Document:
    """Compute it. Raises `ReportCancelled`, `StoreUnavailable`, `AuditUnavailable`."""
    sources.step(0.0, "gaps and audit log")
    completeness = examine_completeness(sources)
    sources.step(0.2, "revisions")
    policies, revision = in_force_policy(sources)
    revisions = revisions_in_window(sources)
    sources.step(0.35, "rules and hits")
    rules = rules_section(sources, policies, revision.revision, completeness)
    sources.step(0.6, "workloads and enforcement")
    postures = examine_posture(sources, policies)
    quarantines = quarantines_in_window(sources)
    sections = (
        _revisions(sources, revision, revisions),
        rules,
        _workloads(postures),
        _enforcement(sources, postures),
        _quarantines(quarantines),
        _staged(sources),
        completeness_section(completeness),
    )
    sources.step(1.0, "done")
    parameters = sources.parameters
    return Document(
        kind="policy",
        title=TITLE,
        statement=_statement(revision, revisions, postures, quarantines),
        start=parameters.start,
        end=parameters.end,
        zone=str(parameters.zone),
        filter=parameters.filter_text,
        created=sources.clock(),
        notes=gap_notes(completeness),
        sections=with_caveat(sections, completeness),
    )


def _statement(
    revision: PolicyRevision,
    revisions: tuple[PolicyRevision, ...],
    postures: tuple[Posture, ...],
    quarantines: tuple[Quarantine, ...],
) -> str:
    protected = [item for item in postures if item.mode is Mode.PROTECT]
    proven = sum(item.proven for item in protected)
    changes = "no change" if not revisions else f"{len(revisions)} change{'s' if len(revisions) > 1 else ''}"
    isolated = f"{len(quarantines)} quarantine{'' if len(quarantines) == 1 else 's'}"
    return (
        f"Revision {revision.revision} was in force at the end, {changes} in the window; enforcement is proven for "
        f"{proven} of {len(protected)} workloads in protect; {isolated}."
    )


def _revisions(sources: Sources, current: PolicyRevision, revisions: tuple[PolicyRevision, ...]) -> Section:
    refused = sources.events(EventAction.POLICY_REFUSED)
    facts = (
        Fact(label="In force at the end of the window", value=f"revision {current.revision}"),
        Fact(label="Applied", value=current.applied if current.revision else None, kind=Kind.TIME),
        Fact(label="By", value=current.author or "nobody: it is the empty policy every installation begins with"),
        Fact(label="Reason", value=current.reason or "none given"),
        Fact(label="SHA-256 of its text", value=hashlib.sha256(current.text.encode()).hexdigest(), kind=Kind.CODE),
    )
    table = Table(
        key="revisions",
        title="Changes in the window",
        columns=(
            Column(title="Revision", kind=Kind.NUMBER),
            Column(title="Applied", kind=Kind.TIME),
            Column(title="By"),
            Column(title="Reason"),
            Column(title="SHA-256 of the text", kind=Kind.CODE),
        ),
        rows=tuple(
            (item.revision, item.applied, item.author, item.reason, hashlib.sha256(item.text.encode()).hexdigest())
            for item in revisions
        ),
        empty="The policy was not changed in this window.",
    )
    refusals = Table(
        key="refused",
        title="Refused changes",
        columns=(
            Column(title="When", kind=Kind.TIME),
            Column(title="By"),
            Column(title="From", kind=Kind.CODE),
            Column(title="Problems"),
        ),
        rows=tuple(
            (
                record.event.at,
                record.event.actor,
                record.event.origin,
                "; ".join(str(item) for item in record.event.detail.get("problems", ())[:5]),
            )
            for record in refused
        ),
        empty="No change was refused in this window.",
    )
    return Section(key="policy", title="Policy in force", facts=facts, tables=(table, refusals))


def _workloads(postures: tuple[Posture, ...]) -> Section:
    modes = {mode: sum(item.mode is mode for item in postures) for mode in Mode}
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            item.workload.name,
            item.workload.kind.value,
            item.mode_words,
            ", ".join(item.ingress) or "none",
            ", ".join(item.egress) or "none",
            item.workload.containment.value,
            item.workload.containment_reason,
        )
        for item in postures
    )
    table = Table(
        key="workloads",
        title="Workloads and the policies that select them",
        columns=tuple(
            Column(title=title) for title in ("Workload", "Kind", "Mode", "Ingress", "Egress", "Containment", "Why so")
        ),
        rows=rows,
        empty="No workload was known in this window.",
    )
    facts = tuple(Fact(label=f"In {mode.value}", value=count, kind=Kind.NUMBER) for mode, count in modes.items())
    return Section(key="workloads", title="Workloads by mode", facts=facts, tables=(table,))


def _enforcement(sources: Sources, postures: tuple[Posture, ...]) -> Section:
    notes = []
    weak = [item for item in postures if item.mode is Mode.PROTECT and not item.proven]
    if weak:
        names = ", ".join(item.workload.name for item in weak[:10]) + (" and others" if len(weak) > 10 else "")
        notes.append(Note(text=f"In protect, but without a fresh proof that it holds: {names}.", weight=Weight.WARNING))
    rows: list[tuple[Cell, ...]] = []
    for item in postures:
        found = item.enforcement
        if found is not None:
            rows.append(
                (item.workload.name, found.state.value, found.since, found.verified, found.drifts, found.reason)
            )
    table = Table(
        key="enforcement",
        title="What the kernel was seen to enforce",
        columns=(
            Column(title="Workload"),
            Column(title="State"),
            Column(title="Since", kind=Kind.TIME),
            Column(title="Last proof", kind=Kind.TIME),
            Column(title="Repairs", kind=Kind.NUMBER),
            Column(title="Reason"),
        ),
        rows=tuple(rows),
        empty="No enforcer has reported on these workloads.",
        note="The state when this report was made, not at the end of the window.",
    )
    return Section(key="enforcement", title="Enforcement", notes=tuple(notes), tables=(table, _drift(sources)))


def _drift(sources: Sources) -> Table:
    return Table(
        key="drift",
        title="Rules found changed and put back",
        columns=(
            Column(title="Repaired", kind=Kind.TIME),
            Column(title="Workload"),
            Column(title="Open for", kind=Kind.SECONDS),
            Column(title="What was found"),
        ),
        rows=tuple(
            (
                record.event.at,
                record.event.target,
                _number(record.event.detail.get("open_seconds")),
                str(record.event.detail.get("what", "")),
            )
            for record in sources.events(EventAction.DRIFT_REPAIRED)
        ),
        empty="No drift was recorded in this window." if sources.trail else "The audit log could not be read.",
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def quarantines_in_window(sources: Sources) -> tuple[Quarantine, ...]:
    """Quarantines that overlap the window, oldest first."""
    start, end = sources.parameters.start, sources.parameters.end
    listed = sources.state.quarantines.list(limit=10_000)
    return tuple(
        sorted(
            (item for item in listed if item.created < end and (item.released is None or item.released >= start)),
            key=lambda item: item.created,
        )
    )


def _quarantines(quarantines: tuple[Quarantine, ...]) -> Section:
    table = Table(
        key="quarantines",
        title="Quarantines that overlap the window",
        columns=(
            Column(title="Workload"),
            Column(title="State"),
            Column(title="Ordered", kind=Kind.TIME),
            Column(title="By"),
            Column(title="Reason"),
            Column(title="Proof", kind=Kind.TIME),
            Column(title="Checks"),
            Column(title="Connections cut", kind=Kind.NUMBER),
            Column(title="Released", kind=Kind.TIME),
            Column(title="Released by"),
        ),
        rows=tuple(
            (
                item.workload_name,
                item.state.value,
                item.created,
                item.author,
                item.reason,
                item.proof.at if item.proof else None,
                _checks(item),
                item.connections_cut,
                item.released,
                item.released_by,
            )
            for item in quarantines
        ),
        empty="No workload was in quarantine in this window.",
    )
    return Section(key="quarantines", title="Quarantines", tables=(table,))


def _checks(item: Quarantine) -> str:
    if item.proof is None:
        return "no proof"
    failed = [check.name for check in item.proof.checks if not check.passed]
    return f"failed: {', '.join(failed)}" if failed else f"all {len(item.proof.checks)} passed"


def _staged(sources: Sources) -> Section:
    by = ("src_name", "src_ip", "dst_name", "dst_ip", "transport", "dst_port", "staged_rule", "staged_sentence")
    rows = sources.summary(by, STAGED)
    table = denied_table(
        "staged",
        "Connections that would be denied were all in protect",
        rows,
        staged=True,
        empty="No connection was recorded that the policy would deny without denying it.",
    )
    return Section(
        key="staged", title="Not enforced yet", notes=most_frequent("such connections", rows), tables=(table,)
    )

"""The segmentation compliance report: who could, who did, what was denied, which gaps, and what controls make of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from audit.report.completeness import completeness_section, examine_completeness, gap_notes, limited, with_caveat
from audit.report.controls import CONTROLS, Finding, Result
from audit.report.document import Cell, Column, Document, Fact, Kind, Note, Section, Table
from audit.report.evidence import Evidence, connections, counted
from audit.report.flow_report import FIGURES, denied_table, most_frequent
from audit.report.policy_report import quarantines_in_window
from audit.report.posture import Posture, examine_posture, external_networks, in_force_policy
from audit.report.reach import EVERYTHING, EVERYTHING_ELSE, NOT_CLOSED, Could, Reach, who_could
from audit.report.sources import DENIED, MOST_GROUPS, STAGED, Sources
from audit.report.tally import service, tally_by, verdict_of
from audit.report.zones import MOST_ZONES, OUTSIDE, Zones, make_zones
from policy_engine.selector import compile_selector
from ringfence.model.event import EventAction
from ringfence.model.workload import WorkloadKind

TITLE = "Segmentation compliance report"
MATRIX_ZONES = 9
"""More zones than fit across a page are listed, not drawn as a matrix."""
MATRIX_SERVICES = 4
EDGE = ("src_workload", "src_name", "dst_workload", "dst_name", "transport", "protocol", "dst_port")
VERDICT = ("enforced", "enforced_basis", "staged")


def make_segmentation_report(sources: Sources) -> Document:
    """Compute it.

    Raises:
        SelectorInvalid: the scope cannot be read.
        ReportCancelled, StoreUnavailable, AuditUnavailable: as for every report.
    """
    parameters = sources.parameters
    in_scope = compile_selector(parameters.scope) if parameters.scope else None
    sources.step(0.0, "gaps and audit log")
    completeness = examine_completeness(sources)
    policies, revision = in_force_policy(sources)
    postures = examine_posture(sources, policies)
    scope = tuple(
        item
        for item in postures
        if (in_scope(item.workload.labels) if in_scope else item.workload.kind is not WorkloadKind.HOST)
    )
    zones = make_zones(postures, parameters.group_by)
    sources.step(0.25, "who did")
    rows = sources.summary((*EDGE, *VERDICT))
    if len(rows) >= MOST_GROUPS:
        completeness = limited(completeness, f"only the {MOST_GROUPS:,} most frequent edges were looked at")
    ids = {item.workload.id for item in scope}
    edges = tuple(row for row in rows if row["src_workload"] in ids or row["dst_workload"] in ids)
    sources.step(0.45, "who could")
    could = who_could(policies, zones, external=external_networks(sources))
    if could.left_out:
        pairs = len(could.pairs) + could.left_out
        completeness = limited(
            completeness, f"who could was not evaluated for {could.left_out:,} of {pairs:,} pairs of zones"
        )
    sources.step(0.75, "controls")
    evidence = Evidence(
        policies=policies,
        revision=revision,
        history=tuple(item for item in sources.state.policies.list(limit=10_000) if item.revision),
        scope=scope,
        edges=edges,
        quarantines=quarantines_in_window(sources),
        drifts=len(sources.events(EventAction.DRIFT_REPAIRED)),
        completeness=completeness,
        end=parameters.end,
    )
    results = [(control, control.decide(evidence)) for control in CONTROLS]
    sections = (
        _controls(results),
        _scope(evidence, zones, parameters.scope),
        _could(could, zones),
        _did(rows, zones),
        _denied(sources),
        completeness_section(completeness),
    )
    sources.step(1.0, "done")
    return Document(
        kind="segmentation",
        title=TITLE,
        statement=_statement(results, evidence),
        start=parameters.start,
        end=parameters.end,
        zone=str(parameters.zone),
        filter=parameters.filter_text,
        created=sources.clock(),
        parameters={"scope": parameters.scope or "every workload but hosts", "grouped by": zones.by},
        notes=gap_notes(completeness),
        sections=with_caveat(sections, completeness),
    )


def _statement(results: list[tuple[Any, Finding]], evidence: Evidence) -> str:
    count = Counter(finding.result for _, finding in results)
    violations = counted(connections(evidence.violations), "connection")
    if evidence.violations:
        seen = f"{violations} went through that policy denies"
    elif evidence.completeness.whole and evidence.edges:
        seen = "no connection was recorded that got past policy"
    else:
        seen = "whether something got past policy cannot be said"
    return (
        f"{count[Result.FAIL]} of {len(results)} controls fail, {count[Result.PASS]} pass, "
        f"{count[Result.UNDECIDED]} are not decided; {seen}."
    )


def _controls(results: list[tuple[Any, Finding]]) -> Section:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (control.framework, control.id, control.title, finding.result.value, finding.reason)
        for control, finding in results
    )
    table = Table(
        key="controls",
        title="Result per control",
        columns=(
            Column(title="Catalogue"),
            Column(title="Control", kind=Kind.CODE),
            Column(title="What it asks, in our words"),
            Column(title="Result", kind=Kind.RESULT),
            Column(title="Why"),
        ),
        rows=rows,
        empty="",
        note="“Not decided” means that the records cannot prove it either way; it is never a pass.",
    )
    return Section(key="controls", title="Controls", tables=(table,))


def _scope(evidence: Evidence, zones: Zones, scope: str) -> Section:
    notes = []
    if zones.left_out:
        notes.append(
            Note(text=f"Only the {MOST_ZONES} largest zones are evaluated; {zones.left_out} smaller ones are not.")
        )
    rows: list[tuple[Cell, ...]] = []
    for name, members in zones.members.items():
        covered = [item for item in members if item.workload.id in evidence.scope_ids]
        rows.append((name, len(members), len(covered), _modes(members), sum(item.proven for item in members)))
    table = Table(
        key="zones",
        title="Zones",
        columns=(
            Column(title="Zone"),
            Column(title="Workloads", kind=Kind.NUMBER),
            Column(title="In scope", kind=Kind.NUMBER),
            Column(title="Modes"),
            Column(title="With proof", kind=Kind.NUMBER),
        ),
        rows=tuple(rows),
        empty="No workload was known in this window.",
    )
    facts = (
        Fact(label="Scope", value=scope or "every workload but hosts", kind=Kind.CODE if scope else Kind.TEXT),
        Fact(label="Workloads in scope", value=len(evidence.scope), kind=Kind.NUMBER),
        Fact(label="Zones by", value=zones.by, kind=Kind.CODE),
        Fact(label="Policy evaluated", value=f"revision {evidence.revision.revision}"),
    )
    return Section(key="scope", title="Scope and zones", notes=tuple(notes), facts=facts, tables=(table,))


def _modes(members: tuple[Posture, ...]) -> str:
    found = Counter(item.mode_words for item in members)
    return ", ".join(f"{count} in {mode}" for mode, count in sorted(found.items()))


def _could(could: Could, zones: Zones) -> Section:
    text = (
        "The policy in force at the end of the window, evaluated for every pair of zones that share an address family. "
        "What is denied but not enforced everywhere goes through where the workload that would have to deny it is not "
        "in protect, is a host, or has no fresh proof of its rules in the kernel. What differs within the zones is "
        "open for some of their addresses, closed for others."
    )
    rows = tuple(
        (item.source, item.destination, *(item.services(verdict) for verdict in (*NOT_CLOSED, "denied")))
        for item in could.pairs
    )
    table = Table(
        key="could",
        title="Who could reach whom",
        columns=(
            Column(title="From"),
            Column(title="To"),
            Column(title="Open", kind=Kind.CODE),
            Column(title="Denied, but not enforced everywhere", kind=Kind.CODE),
            Column(title="Differs within the zones", kind=Kind.CODE),
            Column(title="Denied", kind=Kind.CODE),
        ),
        rows=rows,
        empty="No workload was known in this window.",
        note="Every service there is, as far as rules tell them apart. The outside stands for every address that no "
        "workload holds, also those in networks that rules name and in named external networks.",
    )
    tables = (_matrix(could, zones), table) if 1 < len(zones.members) <= MATRIX_ZONES else (table,)
    return Section(key="could", title="Who could", text=text, tables=tables)


def _matrix(could: Could, zones: Zones) -> Table:
    """Zones against zones: what is open between them."""
    pairs = {(item.source, item.destination): item for item in could.pairs}
    names = [*zones.members, OUTSIDE]
    rows: list[tuple[Cell, ...]] = []
    for source in names:
        row: list[Cell] = [source]
        for destination in names:
            found = pairs.get((source, destination))
            row.append(None if found is None else _open_in_words(found))
        rows.append(tuple(row))
    return Table(
        key="matrix",
        title="What is open, from the row to the column",
        columns=(Column(title="From \\ to"), *(Column(title=name) for name in names)),
        rows=tuple(rows),
        empty="",
        note="“all” includes services that no rule names; “closed” means denied, and proven to be enforced, for every "
        "address.",
    )


def _open_in_words(found: Reach) -> str:
    """What the kernel lets through between two zones, for some of their addresses at least."""
    through = found.services(*NOT_CLOSED, most=MATRIX_SERVICES)
    if through == EVERYTHING:
        return "all (not enforced)" if found.services("would be denied") else "all"
    if through == EVERYTHING_ELSE:
        return f"all but {found.services('denied', most=MATRIX_SERVICES)}"
    return through or "closed"


def _did(rows: tuple[dict[str, Any], ...], zones: Zones) -> Section:
    found = tally_by(
        ((zones.zone(row["src_workload"]), zones.zone(row["dst_workload"]), service(row), verdict_of(row)), row)
        for row in rows
    )
    table = Table(
        key="did",
        title="Who did reach whom, or tried",
        columns=(
            Column(title="From"),
            Column(title="To"),
            Column(title="Service", kind=Kind.CODE),
            Column(title="Verdict", kind=Kind.VERDICT),
            *FIGURES,
        ),
        rows=tuple((*edge, tally.flows, tally.bytes, tally.first, tally.last) for edge, tally in found.items()),
        empty="No connection was recorded in this window.",
    )
    return Section(key="did", title="Who did", tables=(table,))


def _denied(sources: Sources) -> Section:
    ends = ("src_name", "src_ip", "dst_name", "dst_ip", "transport", "dst_port")
    denied = sources.summary((*ends, "rule", "sentence"), DENIED)
    violations = sources.summary((*ends, "staged_rule", "staged_sentence"), STAGED)
    return Section(
        key="denied",
        title="What was denied",
        notes=(
            *most_frequent("denied attempts", denied),
            *most_frequent("connections that went through although policy denies them", violations),
        ),
        tables=(
            denied_table("denied", "Denied attempts", denied, staged=False, empty="No denied connection was recorded."),
            denied_table(
                "violations",
                "Went through although policy denies it",
                violations,
                staged=True,
                empty="No connection was recorded that policy denies and the kernel let through.",
            ),
        ),
    )

"""The flow report: who talked to whom, what decided it, and what was denied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from audit.report.completeness import completeness_section, examine_completeness, gap_notes, with_caveat
from audit.report.document import Cell, Column, Document, Fact, Kind, Note, Section, Table, Weight
from audit.report.sources import DENIED, MOST_GROUPS, STAGED, Sources, term
from audit.report.tally import Tally, end_name, service, tally_by, total, verdict_of
from audit.report.words import duration
from ringfence.model.filter import And, Not

TITLE = "Flow report"
TOP = 20
BARS = 48
BUCKETS = (60, 300, 900, 1800, 3600, 7200, 21600, 43200, 86400, 7 * 86400, 30 * 86400)

BETWEEN_WORKLOADS = And(operands=(term("src_workload"), term("dst_workload")))
FIGURES = (
    Column(title="Connections", kind=Kind.NUMBER, bar=True),
    Column(title="Bytes", kind=Kind.BYTES),
    Column(title="First seen", kind=Kind.TIME),
    Column(title="Last seen", kind=Kind.TIME),
)


def make_flow_report(sources: Sources) -> Document:
    """Compute it. Raises `ReportCancelled`, `StoreUnavailable`, `AuditUnavailable`."""
    sources.step(0.0, "gaps and audit log")
    completeness = examine_completeness(sources)
    sources.step(0.15, "totals")
    verdicts = sources.summary(("enforced", "enforced_basis", "staged"))
    sum_of_all = total(verdicts)
    sections = [_totals(sources, verdicts, sum_of_all)]
    sources.step(0.35, "talkers")
    sections.append(_talkers(sources))
    sources.step(0.5, "edges")
    sections.append(_edges(sources, sum_of_all))
    sources.step(0.75, "denied attempts")
    sections.append(_denied(sources))
    sections.append(completeness_section(completeness))
    sources.step(1.0, "done")
    parameters = sources.parameters
    return Document(
        kind="flow",
        title=TITLE,
        statement=_statement(sum_of_all, completeness.whole),
        start=parameters.start,
        end=parameters.end,
        zone=str(parameters.zone),
        filter=parameters.filter_text,
        created=sources.clock(),
        notes=gap_notes(completeness),
        sections=with_caveat(tuple(sections), completeness),
    )


def _statement(found: Tally, whole: bool) -> str:
    at_least = "" if whole else "at least "
    if not found.flows:
        return "No connection was recorded in this window."
    return (
        f"{at_least}{found.flows:,} connections: {found.denied:,} denied, {found.staged:,} that a policy not yet "
        "enforced would deny."
    ).capitalize()


def _totals(sources: Sources, rows: tuple[dict[str, Any], ...], found: Tally) -> Section:
    split = tally_by(((verdict_of(row), row["enforced_basis"] or ""), row) for row in rows)
    basis = {"explicit": "a rule said so", "default": "no rule matched", "": "not known"}
    table = Table(
        key="verdicts",
        title="By verdict",
        columns=(Column(title="Verdict", kind=Kind.VERDICT), Column(title="Because"), *FIGURES),
        rows=tuple(
            (verdict, basis.get(why, why), tally.flows, tally.bytes, tally.first, tally.last)
            for (verdict, why), tally in split.items()
        ),
        empty="No connection was recorded in this window.",
    )
    facts = (
        Fact(label="Connections", value=found.flows, kind=Kind.NUMBER),
        Fact(label="Denied", value=found.denied, kind=Kind.NUMBER),
        Fact(label="Would be denied", value=found.staged, kind=Kind.NUMBER),
        Fact(label="Bytes", value=found.bytes, kind=Kind.BYTES),
        Fact(label="Packets", value=found.packets, kind=Kind.NUMBER),
    )
    return Section(key="totals", title="Totals", facts=facts, tables=(table, _course(sources)))


def _course(sources: Sources) -> Table:
    """The histogram in at most `BARS` steps."""
    length = (sources.parameters.end - sources.parameters.start).total_seconds()
    seconds = next((size for size in BUCKETS if length / size <= BARS), BUCKETS[-1])
    rows = sources.flows.histogram(sources.query(), bucket_seconds=seconds).to_pylist()
    return Table(
        key="course",
        title=f"Over time, in steps of {duration(seconds)}",
        columns=(
            Column(title="From", kind=Kind.TIME),
            Column(title="Allowed", kind=Kind.NUMBER, bar=True),
            Column(title="Denied", kind=Kind.NUMBER, bar=True),
            Column(title="Would be denied", kind=Kind.NUMBER, bar=True),
            Column(title="Not judged", kind=Kind.NUMBER),
        ),
        rows=tuple(
            (row["bucket"], row["allowed"], row["denied"], row["staged_denied"], row["unknown"])
            for row in rows
            if row["allowed"] or row["denied"] or row["staged_denied"] or row["unknown"]
        ),
        empty="No connection was recorded in this window.",
        note="A connection counts in the step it began in; steps without any are left out.",
    )


def _talkers(sources: Sources) -> Section:
    """Each workload's connections as client and as server."""
    sides: dict[tuple[str, str], dict[str, Tally]] = {}
    for side in ("src", "dst"):
        rows = sources.summary((f"{side}_workload", f"{side}_name", f"{side}_kind"), term(f"{side}_workload"))
        for row in rows:
            key = (end_name(row, side), row[f"{side}_kind"] or "")
            sides.setdefault(key, {}).setdefault(side, Tally()).add(row)
    ordered = sorted(sides.items(), key=lambda item: (-sum(part.flows for part in item[1].values()), item[0]))
    none = Tally()
    rows_of_all: list[tuple[Cell, ...]] = []
    for (name, kind), parts in ordered[:TOP]:
        client, server = parts.get("src", none), parts.get("dst", none)
        rows_of_all.append(
            (name, kind, client.flows, client.denied, client.bytes, server.flows, server.denied, server.bytes)
        )
    table = Table(
        key="talkers",
        title=f"The {TOP} busiest workloads" if len(ordered) > TOP else "All workloads",
        columns=(
            Column(title="Workload"),
            Column(title="Kind"),
            Column(title="Opened", kind=Kind.NUMBER, bar=True),
            Column(title="of these denied", kind=Kind.NUMBER),
            Column(title="Bytes", kind=Kind.BYTES),
            Column(title="Answered", kind=Kind.NUMBER, bar=True),
            Column(title="of these denied", kind=Kind.NUMBER),
            Column(title="Bytes", kind=Kind.BYTES),
        ),
        rows=tuple(rows_of_all),
        empty="No connection of a known workload was recorded.",
    )
    fact = Fact(label="Workloads with connections", value=len(ordered), kind=Kind.NUMBER)
    return Section(key="talkers", title="Talkers", facts=(fact,), tables=(table,))


def _edges(sources: Sources, everything: Tally) -> Section:
    shared = ("transport", "dst_port", "enforced", "staged")
    inner = sources.summary(("src_workload", "src_name", "dst_workload", "dst_name", *shared), BETWEEN_WORKLOADS)
    by = ("src_workload", "src_name", "src_ip", "dst_workload", "dst_name", "dst_ip", *shared)
    outer = sources.summary(by, Not(operand=BETWEEN_WORKLOADS))
    notes = []
    if len(inner) >= MOST_GROUPS or len(outer) >= MOST_GROUPS:
        counted = total(inner).flows + total(outer).flows
        notes.append(
            Note(
                text=f"Only the {MOST_GROUPS:,} most frequent edges are listed; "
                f"{max(0, everything.flows - counted):,} connections are on edges left out."
            )
        )
    return Section(
        key="edges",
        title="Edges",
        notes=tuple(notes),
        tables=(
            _edge_table("edges", "Between workloads", inner, "No connection between two known workloads was recorded."),
            _edge_table(
                "peers", "With others", outer, "No connection with anything but a known workload was recorded."
            ),
        ),
    )


def _edge_table(key: str, title: str, rows: tuple[dict[str, Any], ...], empty: str) -> Table:
    edges = tally_by(((end_name(row, "src"), end_name(row, "dst"), service(row), verdict_of(row)), row) for row in rows)
    columns = (
        Column(title="From"),
        Column(title="To"),
        Column(title="Service", kind=Kind.CODE),
        Column(title="Verdict", kind=Kind.VERDICT),
    )
    cells = tuple((*edge, tally.flows, tally.bytes, tally.first, tally.last) for edge, tally in edges.items())
    return Table(key=key, title=title, columns=columns + FIGURES, rows=cells, empty=empty)


def _denied(sources: Sources) -> Section:
    ends = ("src_name", "src_ip", "dst_name", "dst_ip", "transport", "dst_port")
    denied = sources.summary((*ends, "rule", "sentence"), DENIED)
    staged = sources.summary((*ends, "staged_rule", "staged_sentence"), STAGED)
    return Section(
        key="denied",
        title="Denied attempts",
        notes=(*most_frequent("denied attempts", denied), *most_frequent("attempts that would be denied", staged)),
        tables=(
            denied_table("denied", "Denied", denied, staged=False, empty="No denied connection was recorded."),
            denied_table(
                "staged",
                "Not enforced yet: would be denied",
                staged,
                staged=True,
                empty="No connection was recorded that the policy would deny without denying it.",
            ),
        ),
    )


def most_frequent(what: str, rows: Sequence[object]) -> tuple[Note, ...]:
    """Says that there may be more than was listed, where the store cut its answer."""
    if len(rows) < MOST_GROUPS:
        return ()
    return (Note(text=f"Only the {MOST_GROUPS:,} most frequent {what} are listed.", weight=Weight.WARNING),)


def denied_table(key: str, title: str, rows: tuple[dict[str, Any], ...], *, staged: bool, empty: str) -> Table:
    """Attempts with the rule that decided and its sentence, most frequent first."""
    rule, sentence = ("staged_rule", "staged_sentence") if staged else ("rule", "sentence")
    found = tally_by(
        ((end_name(row, "src"), end_name(row, "dst"), service(row), row[rule] or "", row[sentence] or ""), row)
        for row in rows
    )
    cells: list[tuple[str | int | datetime | None, ...]] = [
        (source, target, asked, tally.flows, tally.first, tally.last, why, reason)
        for (source, target, asked, reason, why), tally in found.items()
    ]
    return Table(
        key=key,
        title=title,
        columns=(
            Column(title="From"),
            Column(title="To"),
            Column(title="Service", kind=Kind.CODE),
            Column(title="Attempts", kind=Kind.NUMBER, bar=True),
            Column(title="First seen", kind=Kind.TIME),
            Column(title="Last seen", kind=Kind.TIME),
            Column(title="Why"),
            Column(title="Rule", kind=Kind.CODE),
        ),
        rows=tuple(cells),
        empty=empty,
    )

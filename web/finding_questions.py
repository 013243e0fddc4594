"""What the findings page asks: a filter over findings, in the language of the filter bar, and a time range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ringfence.model.finding import Finding, FindingKind, FindingState, Severity
from ringfence.model.flow import BY_NAME, Column, ColumnType
from ringfence.store.filter.fields import Field, finder, suggest_fields
from ringfence.store.filter.predicate import to_predicate
from ringfence.store.state import Findings
from web.bar import Bar, Vocabulary
from web.window import Window

MOST = 5_000
"""Findings that are looked at: they are merged by what they are about, so this is many."""
BATCH = 1_000
"""Findings read at once."""
Position = tuple[Severity, datetime, str]
RANKS = {severity: rank for rank, severity in enumerate(Severity)}
DOCS = {
    "severity": "info, low, medium, high or critical.",
    "kind": "policy violation, compliance, detection or drift.",
    "state": "open, acknowledged, suppressed or resolved.",
    "sentence": "What was found.",
    "rule": "Rule that decided.",
    "technique": "ATT&CK id.",
    "response": "What was done by itself.",
    "staged": "true: it would be denied in protect.",
    "count": "How often it was seen.",
}
WORDS: dict[str, tuple[str, ...]] = {
    "severity": tuple(Severity),
    "kind": tuple(f'"{kind}"' if " " in kind else kind for kind in FindingKind),
    "state": tuple(FindingState),
    "staged": ("true", "false"),
}


def _column(name: str, type_: ColumnType = ColumnType.KEYWORD) -> Column:
    return Column(name=name, ecs=name, type=type_, doc=DOCS.get(name, ""))


WORKLOAD, PEER = ("workload", "workload_name"), ("peer", "peer_name")
ENDS = {"src_workload": WORKLOAD[:1], "src_name": WORKLOAD[1:], "dst_workload": PEER[:1], "dst_name": PEER[1:]}
"""A finding is about its workload, as the source of a flow, and its peer: the names that flows have are understood."""


def _fields() -> dict[str, Field]:
    def over(names: Sequence[str], doc: str) -> Field:
        return Field(tuple(_column(name) for name in names), doc)

    plain = {name: Field((_column(name),), doc) for name, doc in DOCS.items() if name != "count"}
    plain["count"] = Field((_column("count", ColumnType.LONG),), DOCS["count"])
    plain["workload"] = over((*WORKLOAD, *PEER), "Name or id of the workload, or of its peer.")
    plain["ip"] = over(PEER, "The peer where it is an address.")
    for name, columns in ENDS.items():
        known = BY_NAME[name]
        plain |= {word.lower(): over(columns, known.doc) for word in (known.name, known.ecs, *known.aliases)}
    return plain


FIELDS = _fields()
FINDINGS = Vocabulary(
    find=finder(FIELDS),
    suggest=lambda prefix, limit: suggest_fields(prefix, limit=limit, known=FIELDS),
    values=lambda name: WORDS.get(name.lower(), ()),
    example="severity: high and workload: db",
    completion="/findings/suggest",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """`outside` counts those that match but were not seen in the window, `unfiltered` those that the filter hides."""

    findings: tuple[Finding, ...]
    outside: tuple[Finding, ...]
    unfiltered: int


def select(findings: Sequence[Finding], window: Window, bar: Bar) -> Selected:
    """Findings that were seen in a window and that the filter selects, in the order they came in."""
    test = to_predicate(bar.filter, bar.vocabulary.find)
    matching = [item for item in findings if test(row_of(item))]
    within = tuple(item for item in matching if _seen(item, window))
    return Selected(
        findings=within,
        outside=tuple(item for item in matching if not _seen(item, window)),
        unfiltered=sum(_seen(item, window) for item in findings) - len(within),
    )


def every(
    findings: Findings, *, state: FindingState | None = None, after: Position | None = None, batch: int = BATCH
) -> Iterator[Finding]:
    """Findings in the order of the store, read as far as they are wanted."""
    while found := findings.list(state=state, limit=batch, after=after):
        yield from found
        last = found[-1]
        after = last.severity, last.last_seen, last.id


def about(findings: Findings, workload: str) -> tuple[Finding, ...]:
    """What is not resolved about a workload or with it as the peer, most severe first."""
    found = {
        item.id: item  # once, also when its state changes in between
        for state in FindingState
        if state is not FindingState.RESOLVED
        for item in every(findings, state=state)
        if workload in (item.workload, item.peer)
    }
    return tuple(sorted(found.values(), key=_order))


def _order(item: Finding) -> tuple[int, float, str]:
    """That of the store: most severe first, then latest first."""
    return -RANKS[item.severity], -item.last_seen.timestamp(), item.id


def row_of(item: Finding) -> Mapping[str, Any]:
    """A finding as the filter reads it."""
    names = (*WORKLOAD, *PEER, *DOCS)
    row = {name: getattr(item, name) for name in names}
    return row | {"staged": "true" if item.staged else "false"}


def _seen(item: Finding, window: Window) -> bool:
    return item.first_seen < window.end and item.last_seen >= window.start

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

from audit.report.document import Column, Document, Fact, Kind, Note, Section, Table, content
from tests.support.audit_sources import END, NOW, START

TABLE = Table(key="t", title="T", columns=(Column(title="A"),), rows=(("x",), (None,)), empty="none")
DOCUMENT = Document(
    kind="flow",
    title="Flow report",
    statement="1 connection",
    start=START,
    end=END,
    zone="UTC",
    filter="",
    created=NOW,
    sections=(Section(key="s", title="S", facts=(Fact(label="n", value=1, kind=Kind.NUMBER),), tables=(TABLE,)),),
)


def test_the_digest_does_not_depend_on_when_the_report_was_made_or_in_which_zone_times_are_held() -> None:
    later = replace(DOCUMENT, created=NOW + timedelta(days=1))
    elsewhere = replace(DOCUMENT, start=START.astimezone(timezone(timedelta(hours=5))))
    assert DOCUMENT.digest == later.digest == elsewhere.digest


def test_the_digest_covers_window_filter_figures_notes_and_every_cell() -> None:
    section = DOCUMENT.sections[0]
    changed = (
        replace(DOCUMENT, end=END + timedelta(seconds=1)),
        replace(DOCUMENT, filter="x: 1"),
        replace(DOCUMENT, statement="2 connections"),
        replace(DOCUMENT, parameters={"scope": "x"}),
        replace(DOCUMENT, notes=(Note(text="gap"),)),
        replace(DOCUMENT, sections=(replace(section, facts=(Fact(label="n", value=2, kind=Kind.NUMBER),)),)),
        replace(DOCUMENT, sections=(replace(section, tables=(replace(TABLE, rows=(("y",), (None,))),)),)),
        replace(DOCUMENT, sections=(replace(section, tables=(replace(TABLE, rows=(("x",),)),)),)),
    )
    digests = {document.digest for document in changed}
    assert len(digests) == len(changed)
    assert DOCUMENT.digest not in digests


def test_an_empty_table_is_covered_with_the_sentence_it_shows() -> None:
    section = replace(DOCUMENT.sections[0], tables=(replace(TABLE, rows=()),))
    assert content(replace(DOCUMENT, sections=(section,)))["sections"][0]["tables"][0]["note"] == "none"

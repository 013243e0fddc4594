from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.report.document import Column, Section, Table
from audit.report.flow_report import make_flow_report
from audit.report.tables import DANGEROUS, render_csv
from tests.support.audit_sources import denied, flow, sources


def rows_of(text: str) -> list[list[str]]:
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:], newline="")))


def one_cell(value: str) -> str:
    table = Table(key="t", title="T", columns=(Column(title="A"),), rows=((value,),), empty="")
    document = replace(make_flow_report(sources([])), sections=(Section(key="s", title="S", tables=(table,)),))
    return next(row[2] for row in rows_of(render_csv(document)) if row[:2] == ["s/t", "row"])


FORMULAS = [
    "=1+1",
    "+1",
    "-1+2",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\x00=1",
    "  =1",
    "\u00a0=1",
    "＝1",
    "|calc",
    "%x",
]


@pytest.mark.parametrize("text", FORMULAS, ids=repr)
def test_text_that_looks_like_a_formula_is_disarmed(text: str) -> None:
    assert one_cell(text).startswith("'")


@given(st.text(max_size=20))
def test_no_cell_of_any_text_begins_like_a_formula(text: str) -> None:
    assert not one_cell(text).lstrip(" \u00a0\u3000").startswith(DANGEROUS)


def test_separators_and_quotes_stay_inside_their_cell() -> None:
    assert one_cell('a";=1+1,;\tx') == 'a";=1+1,;\\tx'


def test_figures_and_times_are_plain() -> None:
    rows = rows_of(render_csv(make_flow_report(sources([flow(), denied()]))))
    edge = next(row for row in rows if row[0] == "edges/edges" and row[1] == "row" and row[2] == "api")
    assert edge[2:] == [
        "api", "db", "tcp/5432", "allowed", "1", "2000",
        "2026-11-24T08:05:00.000000+00:00", "2026-11-24T08:06:00.000000+00:00",
    ]  # fmt: skip


def test_window_filter_zone_and_digest_are_in_it() -> None:
    document = make_flow_report(sources([flow()], text="port: 5432"))
    about = {row[2]: row[3] for row in rows_of(render_csv(document)) if row[:2] == ["report", "about"]}
    assert about["filter"] == "port: 5432"
    assert about["SHA-256 of the data"] == document.digest
    assert about["time zone"] == "UTC"
    assert about["from"].startswith("2026-11-24T08:00:00")


def test_an_empty_table_is_there_with_its_sentence() -> None:
    rows = rows_of(render_csv(make_flow_report(sources([]))))
    assert ["denied/denied", "empty", "No denied connection was recorded."] in rows

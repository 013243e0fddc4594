"""Exports: complete, honest about gaps, harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import pytest

from ringfence.model.gap import Gap, GapCause
from ringfence.store.flows import FlowQuery
from tests.support.estate import NOW, flow_row
from tests.support.site import Site
from web import export

NAMES = ("started", "src_name", "src_bytes")
GAP = Gap(id="g", host="h1", started=NOW, ended=NOW + timedelta(minutes=1), cause=GapCause.SPOOL_FULL, lost=12)


def test_a_csv_has_the_columns_asked_for_every_row_and_every_gap() -> None:
    text = "".join(export.as_csv([flow_row(1), flow_row(2)], NAMES, [GAP], ["only some"]))
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == list(NAMES)
    assert len(rows) == 5
    assert "12 records missing (spool full)" in rows[3][0]
    assert rows[4] == ["# only some"]


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "\0x", "  =1", "\u00a0=1", "＝1", "|calc", "%x"]


@pytest.mark.parametrize("value", FORMULAS, ids=repr)
def test_no_cell_is_a_formula(value: str) -> None:
    assert export.cell(value) == f"'{value}"


def test_no_separator_begins_a_cell() -> None:
    row = {"name": 'a;=1+1,"x"', "ports": ["80", "=443"], "size": -5}
    lines = "".join(export.as_csv([row], tuple(row), ())).splitlines()
    assert lines == ['"name","ports","size"', '"a;=1+1,""x""","80;=443","-5"']


def test_numbers_stay_numbers() -> None:
    assert export.cell(-5) == "-5"
    assert export.cell(None) == ""
    assert export.cell(["a=1", "b=2"]) == "a=1;b=2"
    assert export.cell({"reason": "é", "at": NOW}) == r'{"reason": "\u00e9", "at": "2026-03-01T12:00:00Z"}'


def test_half_a_character_in_an_object_does_not_end_a_file() -> None:
    text = export.cell({"group_by": "a\ud800"})
    assert text.encode() and json.loads(text) == {"group_by": "a\ud800"}


def test_json_lines_are_one_flow_each_and_then_the_remarks() -> None:
    lines = [json.loads(line) for line in export.as_json_lines([flow_row(1)], NAMES, [GAP])]
    assert lines[0]["started"] == "2026-03-01T12:00:00Z"
    assert lines[0]["src_bytes"] is None
    assert tuple(lines[0]) == NAMES
    assert "gap on h1" in lines[1]["remark"]


def test_all_pages_are_read_up_to_the_limit(shop: Site) -> None:
    now = shop.clock()
    query = FlowQuery(start=now - timedelta(days=3), end=now)
    everything = [row["flow_id"] for row in export.rows_of(shop.flows, query, 100_000)]
    assert len(everything) == len(set(everything)) == shop.flows.search(query, limit=1).total > export.BATCH
    assert len(list(export.rows_of(shop.flows, query, 1_500))) == 1_500

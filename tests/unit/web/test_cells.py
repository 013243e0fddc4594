"""A flow as cells, each value with the filter it stands for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ringfence.store.filter.parser import parse_filter
from ringfence.store.filter.predicate import to_predicate
from tests.support.estate import NOW, flow_row
from web import cells
from web.tokens import term

ROW = flow_row(1, src_bytes=1024, dst_bytes=None, ended=NOW + timedelta(seconds=134), rule="a/b/ingress/0")


def test_the_default_columns_name_both_ends_and_the_service() -> None:
    texts = {cell.key: [part.text for part in cell.parts] for cell in cells.cells(ROW, cells.chosen(""))}
    assert texts["source"] == ["api", "10.0.0.2"]
    assert texts["service"] == ["5432", "tcp"]
    assert texts["bytes"] == ["1 KiB"]
    assert texts["duration"] == ["2 m 14 s"]


def test_unknown_counters_are_a_dash() -> None:
    assert cells.total_bytes(flow_row(1)) is None
    assert cells.cells(flow_row(1), cells.chosen("bytes"))[0].parts[0].text == "–"


def test_unknown_columns_are_left_out_and_none_left_means_the_default() -> None:
    assert [column.key for column in cells.chosen("nonsense,host,host")] == ["host"]
    assert cells.chosen("nonsense") == cells.chosen("")


@pytest.mark.parametrize("key", cells.CHOICES)
def test_every_value_filters_for_the_row_it_stands_in(key: str) -> None:
    row = flow_row(1, protocol=1, icmp_type=8) if key == "icmp_type" else ROW
    for part in cells.cells(row, cells.chosen(key))[0].parts:
        if part.field:
            assert to_predicate(parse_filter(term(part.field, part.value)))(row)


def test_icmp_has_a_type_in_the_place_of_a_port() -> None:
    row = flow_row(1, protocol=1, transport="icmp", dst_port=None, icmp_type=8)
    assert cells.cells(row, cells.chosen("service"))[0].parts[0].text == "type 8"

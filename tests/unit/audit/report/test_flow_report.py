from __future__ import annotations

from audit.report.document import Document, Table
from audit.report.flow_report import make_flow_report
from tests.support.audit_sources import denied, flow, gap, slipped, sources

OUTSIDE = {"dst_workload": None, "dst_name": None, "dst_kind": None, "dst_ip": "198.51.100.7"}
ROWS = [flow(), flow(), denied(), slipped(), flow("web", port=443, **OUTSIDE), flow("x", enforced=None, staged=None)]


def table(document: Document, key: str) -> Table:
    return next(found for section in document.sections for found in section.tables if found.key == key)


def test_totals_count_each_connection_once_by_verdict() -> None:
    document = make_flow_report(sources(ROWS))
    assert document.statement.startswith("6 connections: 1 denied, 1 that a policy not yet enforced would deny")
    split = {row[0]: row[2] for row in table(document, "verdicts").rows}
    assert split == {"allowed": 3, "denied": 1, "would be denied": 1, "not judged": 1}


def test_edges_name_both_ends_service_and_verdict() -> None:
    rows = table(make_flow_report(sources(ROWS)), "edges").rows
    assert ("api", "db", "tcp/5432", "allowed", 2) in {row[:5] for row in rows}
    assert ("web", "db", "tcp/5432", "denied", 1) in {row[:5] for row in rows}


def test_external_peers_stand_apart_with_their_address() -> None:
    document = make_flow_report(sources(ROWS))
    assert [row[:4] for row in table(document, "peers").rows] == [("web", "198.51.100.7", "tcp/443", "allowed")]
    assert all("198.51.100.7" not in row for row in table(document, "edges").rows)


def test_denied_attempts_have_their_rule_and_sentence() -> None:
    document = make_flow_report(sources(ROWS))
    (row,) = table(document, "denied").rows
    assert row[6:] == ("web is not allowed", "application/ingress/default")
    assert table(document, "staged").rows[0][6:] == ("no rule lets it", "application/ingress/default")


def test_talkers_show_both_sides_of_a_workload() -> None:
    rows = {row[0]: row for row in table(make_flow_report(sources(ROWS)), "talkers").rows}
    assert (rows["web"][2], rows["web"][3]) == (3, 1)
    assert (rows["db"][2], rows["db"][5], rows["db"][6]) == (0, 5, 1)


def test_over_a_gap_figures_are_lower_bounds() -> None:
    document = make_flow_report(sources(ROWS, gaps=(gap(),)))
    assert document.statement.startswith("At least 6 connections")
    assert document.notes


def test_no_connection_is_said_and_not_called_clean_over_a_gap() -> None:
    assert make_flow_report(sources([])).statement == "No connection was recorded in this window."
    document = make_flow_report(sources([], gaps=(gap(),)))
    assert "picture is not complete" in table(document, "denied").empty


def test_every_row_has_a_cell_for_every_column() -> None:
    for section in make_flow_report(sources(ROWS, gaps=(gap(),))).sections:
        for found in section.tables:
            assert {len(row) for row in found.rows} <= {len(found.columns)}, found.key

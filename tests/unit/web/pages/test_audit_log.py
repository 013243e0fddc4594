"""Audit log."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from tests.support.site import Site


def test_records_are_found_by_actor_action_and_word(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    client.get("/users")
    assert "access denied" in client.get("/audit?actor=auditor").text
    assert "No record matches" in client.get("/audit?actor=nobody").text
    assert "/users" in client.get("/audit?action=access+denied&text=USERS").text


def test_the_chain_is_verified_and_a_changed_byte_is_found(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    assert "The record is intact" in client.get("/audit?verify=1").text
    segment = next(
        path for path in (own_shop.folder / "audit").rglob("*") if path.suffix and b'"ada"' in path.read_bytes()
    )
    segment.write_bytes(segment.read_bytes().replace(b'"ada"', b'"eve"'))
    assert "NOT intact" in client.get("/audit?verify=1").text


def test_an_export_has_every_record_with_its_hash(own_shop: Site) -> None:
    answer = own_shop.client("auditor").get("/audit/export.json")
    records, remarks = split(answer.text)
    assert [item["sequence"] for item in records] == list(range(1, len(records) + 1))
    assert records[-1]["action"] == "export"
    assert records[1]["previous"] == records[0]["hash"]
    assert remarks == [f"the log is intact: {len(records)} records, the last has the hash {records[-1]['hash']}"]


def test_an_export_says_which_lines_are_damaged_and_that_the_chain_does_not_hold(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    before, _ = split(client.get("/audit/export.json").text)
    segment = next(path for path in (own_shop.folder / "audit").rglob("*.jsonl") if b'"ada"' in path.read_bytes())
    segment.write_bytes(segment.read_bytes().replace(b'"ada"', b'"eve"', 1))
    after, remarks = split(client.get("/audit/export.json").text)
    assert len(after) == len(before)  # one record of the second export more, one line less
    assert "1 line of the log is left out because damaged" in remarks[0]
    assert remarks[1].startswith("the log is NOT intact: line ")


def test_an_export_holds_what_the_page_shows(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    client.get("/users")
    records, remarks = split(client.get("/audit/export.json?actor=auditor&action=access+denied&text=users").text)
    assert [item["action"] for item in records] == ["access denied"]
    assert remarks[0] == "only records with actor “auditor”, action “access denied”, text “users”"
    last = next(own_shop.audit.records(newest_first=True)).event
    assert last.detail["only action"] == "access denied"


@pytest.mark.parametrize("path", ["/audit", "/audit/export.json"])
def test_an_action_that_there_is_not_is_refused(own_shop: Site, path: str) -> None:
    answer = own_shop.client("auditor").get(f"{path}?action=nonsense")
    assert answer.status_code == 422
    assert "is no action" in answer.text


def split(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The records of an export, and its remarks."""
    lines = [json.loads(line) for line in text.splitlines()]
    return [line for line in lines if "remark" not in line], [line["remark"] for line in lines if "remark" in line]


def test_an_export_as_csv_has_the_same_records_and_remarks(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    client.get("/users")
    text = client.get("/audit/export.csv?action=access+denied").text
    rows = [row for row in csv.DictReader(io.StringIO(text)) if not row["sequence"].startswith("#")]
    records, remarks = split(client.get("/audit/export.json?action=access+denied").text)
    assert [row["hash"] for row in rows] == [record["hash"] for record in records]
    assert json.loads(rows[0]["detail"]) == records[0]["detail"]
    assert "# the log is intact" in text and len(remarks) == 2

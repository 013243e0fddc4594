"""Audit log."""

from __future__ import annotations

import json

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
    records = [json.loads(line) for line in answer.text.splitlines()]
    assert [item["sequence"] for item in records] == list(range(1, len(records) + 1))
    assert records[-1]["action"] == "export"
    assert records[1]["previous"] == records[0]["hash"]

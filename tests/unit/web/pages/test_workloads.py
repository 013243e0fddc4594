"""Workloads."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from ipaddress import ip_network

from ringfence.model.workload import Attachment, NetworkKind, WorkloadKind
from tests.support.site import Site
from web.pages.workloads import MOST_FINDINGS


def test_those_that_need_attention_come_first(shop: Site) -> None:
    text = shop.client("viewer").get("/workloads").text
    assert text.index("<b>coupon</b>") < text.index("<b>db</b>") < text.index("<b>visitor</b>")
    assert "12 workloads" in text


def test_they_are_found_by_image_label_network_and_address(shop: Site) -> None:
    client = shop.client("viewer")
    for word in ("postgres:17", "role=db", "172.20.0.13", "DB"):
        assert "<b>db</b>" in client.get("/workloads", query_string={"name": word}).text
    assert "No workload matches" in client.get("/workloads?name=nothing").text


def test_one_shows_identity_policy_proof_peers_and_findings(shop: Site) -> None:
    text = shop.client("operator").get(f"/workloads/{shop.workloads()['db'].id}").text
    for word in (
        "postgres:17",
        "172.20.0.13",
        "rules read back",
        "tcp 5432 from role in",
        "Is reached by",
        "Quarantine…",
    ):
        assert word in text
    assert "repaired" in text.lower()


def test_one_in_quarantine_says_so_and_offers_the_release(shop: Site) -> None:
    text = shop.client("operator").get(f"/workloads/{shop.workloads()['coupon'].id}").text
    assert "Proof and release" in text
    assert "Quarantine…" not in text


def test_an_unknown_one_is_an_honest_page(shop: Site) -> None:
    assert shop.client("viewer").get("/workloads/nothing").status_code == 404


def test_a_head_sorts_the_list(shop: Site) -> None:
    client = shop.client("viewer")

    def names(sort: str) -> list[str]:
        rows = client.get(f"/workloads?sort={sort}").text.split("<tbody>")[1]
        return [part.split("</b>")[0] for part in rows.split("<b>")[1:]]

    assert names("workload") == sorted(names("workload"))
    assert names("-workload") == names("workload")[::-1]
    assert client.get("/workloads?sort=colour").status_code == 400


def test_a_named_network_outside_has_a_page_and_is_no_workload_of_ours(own_shop: Site) -> None:
    part = Attachment(
        network="wan", kind=NetworkKind.OTHER, since=own_shop.clock(), networks=(ip_network("198.51.100.0/24"),)
    )
    office = replace(
        own_shop.workloads()["db"], id="o1", name="office", kind=WorkloadKind.EXTERNAL, attachments=(part,)
    )
    own_shop.state.workloads.save([office])
    client = own_shop.client("operator")
    text = client.get("/workloads/o1").text
    assert "198.51.100.0/24" in text and "no rules are written for it" in text and "No policy selects" in text
    assert "Quarantine…" not in text
    assert "12 workloads" in client.get("/workloads").text
    assert len(client.get("/api/v1/workloads").get_json()["workloads"]) == 12
    assert client.get("/api/v1/workloads/o1").get_json()["mode"] is None


def test_a_file_has_what_the_search_finds_in_the_order_of_the_list(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    text = client.get("/workloads/export.csv?range=24h&name=POSTGRES").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["name"] for row in rows if not row["id"].startswith("#")] == ["db"]
    assert (rows[0]["networks"], rows[0]["mode"], rows[0]["enforcement"]) == ("shop_backend", "monitor", "in force")
    assert rows[0]["addresses"].startswith("172.20.0.13;")
    assert list(own_shop.audit.records())[-1].event.detail["name"] == "postgres"
    every = [json.loads(line) for line in client.get("/workloads/export.json?sort=-flows").text.splitlines()]
    flows = [row["flows"] for row in every if "remark" not in row]
    assert flows == sorted(flows, reverse=True) and len(flows) == 12
    assert client.get("/workloads/export.csv?sort=colour").status_code == 400


def test_of_many_findings_the_page_says_how_many_it_leaves_out(own_shop: Site) -> None:
    db = own_shop.workloads()["db"]
    drift = own_shop.state.findings.get("f-drift")
    assert drift is not None
    for number in range(MOST_FINDINGS + 2):
        own_shop.state.findings.record(replace(drift, id=f"m{number}", key=f"m{number}", workload=db.id))
    text = own_shop.client("viewer").get(f"/workloads/{db.id}").text
    assert re.search(r"and \d+ more under <a href=\"/findings\?q=workload%3A\+", text)


def test_the_list_follows_and_holds_still_under_the_pointer(shop: Site) -> None:
    text = shop.client("viewer").get("/workloads").text
    assert 'data-refresh="workloads" data-follow="workload quarantine enforcement" data-pace="10" data-hold' in text

"""The API of workloads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ringfence.model.finding import FindingState
from tests.support.site import Site
from web.api.workloads import MOST_FINDINGS


class Counted:
    """A repository that counts what it is asked."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.reads = inner, 0

    def __getattr__(self, name: str) -> Any:
        self.reads += 1
        return getattr(self.inner, name)


def test_the_list_has_mode_proof_and_quarantine(shop: Site) -> None:
    rows = {row["name"]: row for row in shop.client("viewer").get("/api/v1/workloads").get_json()["workloads"]}
    assert rows["coupon"]["mode"] == "protect"
    assert rows["coupon"]["quarantine"] == "q-coupon"
    assert rows["mail"]["enforcement"]["state"] == "partial"
    assert rows["db"]["attachments"][0]["addresses"][0] == "172.20.0.13"


def test_a_list_of_many_reads_policy_and_proofs_once(own_shop: Site) -> None:
    reads = {name: Counted(getattr(own_shop.state, name)) for name in ("policies", "enforcements", "quarantines")}
    for name, counted in reads.items():
        setattr(own_shop.state, name, counted)
    assert len(own_shop.client("viewer").get("/api/v1/workloads").get_json()["workloads"]) > 10
    assert {name: counted.reads for name, counted in reads.items()} == dict.fromkeys(reads, 1)


def test_one_has_its_peers_and_policies(shop: Site) -> None:
    client = shop.client("viewer")
    body = client.get(f"/api/v1/workloads/{shop.workloads()['db'].id}").get_json()
    assert "api" in {edge["src_name"] for edge in body["incoming"]}
    assert body["policies"][0]["name"] == "db"
    assert {body["id"] in (item["workload"], item["peer"]) for item in body["findings"]} == {True}
    assert client.get("/api/v1/workloads/nothing").status_code == 404


def test_findings_are_those_of_the_page_and_not_resolved(own_shop: Site) -> None:
    client, coupon = own_shop.client("viewer"), own_shop.workloads()["coupon"].id

    def ids() -> set[str]:
        return {item["id"] for item in client.get(f"/api/v1/workloads/{coupon}").get_json()["findings"]}

    known = ids()
    page = client.get(f"/workloads/{coupon}").text
    assert known and all(f"/findings/{finding}" in page for finding in known)
    one = own_shop.state.findings.get(next(iter(known)))
    assert one is not None
    own_shop.state.findings.update(replace(one, state=FindingState.RESOLVED))
    assert ids() == known - {one.id}


def test_of_many_findings_the_most_severe_are_told_and_how_many_more_there_are(own_shop: Site) -> None:
    client, coupon = own_shop.client("viewer"), own_shop.workloads()["coupon"].id
    known = client.get(f"/api/v1/workloads/{coupon}").get_json()
    assert known["findings_left_out"] == 0
    one = own_shop.state.findings.get(known["findings"][-1]["id"])
    assert one is not None
    for number in range(MOST_FINDINGS):
        own_shop.state.findings.record(replace(one, id=f"f{number}", key=f"k{number}"))
    body = client.get(f"/api/v1/workloads/{coupon}").get_json()
    assert (len(body["findings"]), body["findings_left_out"]) == (MOST_FINDINGS, len(known["findings"]))
    assert body["findings"][0]["id"] == known["findings"][0]["id"]

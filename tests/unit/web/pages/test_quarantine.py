"""Quarantine."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from ringfence.model.quarantine import QuarantineState
from tests.support.site import Site
from web.pages.quarantine import FORMER


def test_plan_reason_order_proof_release(own_shop: Site) -> None:
    client, target = own_shop.client("operator"), own_shop.workloads()["db"].id
    plan = client.get(f"/quarantine/plan/{target}").text
    assert "open connection" in plan
    answer = own_shop.post(client, f"/quarantine/plan/{target}", {"reason": "it scans", "duration": "1h"})
    assert answer.status_code == 303
    page = client.get(answer.headers["Location"]).text
    assert "verified" in page
    assert "probe from inside" in page
    released = own_shop.post(client, f"{answer.headers['Location']}/release", {"reason": "it was a test"})
    assert released.status_code == 303
    item = own_shop.state.quarantines.get(answer.headers["Location"].rsplit("/", 1)[1])
    assert item is not None
    assert item.state is QuarantineState.RELEASED
    recorded = [record.event.action.value for record in own_shop.audit.records()]
    assert recorded[-2:] == ["quarantine ordered", "quarantine released"]


def test_the_plan_says_that_more_may_be_cut_than_was_seen(own_shop: Site) -> None:
    plan = own_shop.client("operator").get(f"/quarantine/plan/{own_shop.workloads()['db'].id}").text
    assert "2 gaps in these 7 days" in plan
    assert "and some that nobody saw" in plan


def test_without_a_reason_the_form_comes_back_with_what_was_typed(own_shop: Site) -> None:
    client, target = own_shop.client("operator"), own_shop.workloads()["db"].id
    form = {"reason": " ", "duration": "7d", "access": "in 10.0.0.5/32 tcp 22"}
    answer = own_shop.post(client, f"/quarantine/plan/{target}", form)
    assert answer.status_code == 422
    assert "goes into the audit log" in answer.text
    assert "in 10.0.0.5/32 tcp 22" in answer.text
    assert len(own_shop.state.quarantines.active()) == 1


def test_what_is_isolated_already_is_refused_in_words(own_shop: Site) -> None:
    text = own_shop.client("operator").get(f"/quarantine/plan/{own_shop.workloads()['coupon'].id}").text
    assert "in quarantine already" in text
    assert "<form" not in text.split('id="main"')[1].split("</main>")[0]


def test_a_release_without_a_reason_changes_nothing(own_shop: Site) -> None:
    assert own_shop.post(own_shop.client("operator"), "/quarantine/q-coupon/release", {}).status_code == 422
    assert own_shop.state.quarantines.active()


def test_nothing_is_ordered_while_the_audit_log_cannot_be_written(own_shop: Site) -> None:
    client, target = own_shop.client("operator"), own_shop.workloads()["db"].id
    token = own_shop.token(client)
    own_shop.audit.close()
    form = {"reason": "it scans", "duration": "1h", "csrf_token": token}
    assert client.post(f"/quarantine/plan/{target}", data=form).status_code == 503
    assert len(own_shop.state.quarantines.active()) == 1


def test_the_list_says_who_and_until_when(shop: Site, site: Site) -> None:
    assert "response rule contain-scanners" in shop.client("viewer").get("/quarantine").text
    assert "Nobody is isolated" in site.client("viewer").get("/quarantine").text
    assert shop.client("viewer").get("/quarantine/nothing").status_code == 404


def test_the_page_has_the_newest_of_many_and_the_file_has_all(own_shop: Site) -> None:
    held = own_shop.state.quarantines.get("q-coupon")
    assert held is not None
    for number in range(FORMER + 3):
        made = replace(
            held,
            id=f"q-{number}",
            workload=f"w-{number}",
            created=own_shop.clock(),
            state=QuarantineState.RELEASED,
            released=own_shop.clock(),
            released_by="ada",
        )
        own_shop.state.quarantines.add(made)
    client = own_shop.client("auditor")
    text = client.get("/quarantine").text
    assert "1 workload isolated" in text
    assert f"the newest {FORMER}" in text
    rows = [json.loads(line) for line in client.get("/quarantine/export.json").text.splitlines()]
    assert [row["id"] for row in rows] == ["q-coupon", *(f"q-{number}" for number in reversed(range(FORMER + 3)))]
    assert (rows[0]["checks_passed"], rows[0]["checks"], rows[0]["state"]) == (2, 2, "verified")


class ReleasedInBetween:
    """Quarantines of which the active ones are all released as soon as they were read."""

    def __init__(self, inner: Any, now: datetime) -> None:
        self.inner, self.now = inner, now

    def active(self) -> Any:
        found = self.inner.active()
        for item in found:
            self.inner.wish_release(item.id, at=self.now, by="ada")
            assert self.inner.settle(replace(item, state=QuarantineState.RELEASED))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("/quarantine", r'<a [^>]*href="/quarantine/q-coupon"'),
        ("/quarantine/export.json", '"id": "q-coupon"'),
    ],
    ids=["page", "file"],
)
def test_an_order_that_is_released_in_between_is_told_once(own_shop: Site, path: str, row: str) -> None:
    client = own_shop.client("auditor")
    quarantines: Any = ReleasedInBetween(own_shop.state.quarantines, own_shop.clock())
    own_shop.state.quarantines = quarantines
    assert len(re.findall(row, client.get(path).text)) == 1
    assert own_shop.state.quarantines.inner.active() == ()


def test_the_proof_follows_and_the_form_is_a_part_of_its_own(shop: Site) -> None:
    text = shop.client("operator").get("/quarantine/q-coupon").text
    assert "hx-trigger" not in text
    proof, release = text.split('data-refresh="proof" data-follow="quarantine"')[1].split(
        'data-refresh="release" data-follow="quarantine"'
    )
    assert "probe from inside" in proof
    assert "Reason for the release" in release


def test_a_refused_release_keeps_the_reason(own_shop: Site) -> None:
    client = own_shop.client("operator")
    token = own_shop.token(client)
    own_shop.audit.close()
    form = {"reason": "it was a <drill>", "csrf_token": token}
    answer = client.post("/quarantine/q-coupon/release", data=form)
    assert answer.status_code == 503
    assert 'value="it was a &lt;drill&gt;"' in answer.text
    assert own_shop.post(client, "/quarantine/q-coupon/release", {"reason": ""}).status_code == 422


def test_a_refused_order_keeps_what_was_typed(own_shop: Site) -> None:
    client, target = own_shop.client("operator"), own_shop.workloads()["db"].id
    token = own_shop.token(client)
    own_shop.audit.close()
    form = {"reason": "it scans again", "duration": "7d", "access": "in 10.0.0.5/32 tcp 22", "csrf_token": token}
    answer = client.post(f"/quarantine/plan/{target}", data=form)
    assert answer.status_code == 503
    assert 'value="it scans again"' in answer.text
    assert '<option value="7d" selected>' in answer.text
    assert "in 10.0.0.5/32 tcp 22</textarea>" in answer.text

"""Findings."""

from __future__ import annotations

import html
import json
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest

from ringfence.model.finding import Finding, FindingKind, FindingState, Severity
from tests.support.site import Site
from web.finding_questions import MOST


def test_the_list_is_by_severity_and_state(shop: Site) -> None:
    client = shop.client("viewer")
    text = client.get("/findings").text
    assert text.index("Rules of db were changed") < text.index("coupon may not reach")
    assert "No resolved finding" in client.get("/findings?state=resolved").text
    assert client.get("/findings?state=nonsense&offset=-5").status_code == 200


def test_one_has_its_sentence_its_evidence_and_what_was_done(shop: Site) -> None:
    found = next(item for item in shop.state.findings.list() if item.flows)
    text = shop.client("operator").get(f"/findings/{found.id}").text
    assert "Evidence" in text
    assert "flow=" in text
    assert "Acknowledge" in text
    assert "Acknowledge" not in shop.client("auditor").get(f"/findings/{found.id}").text


@pytest.mark.parametrize(
    ("form", "state"),
    [
        ({"change": "acknowledge"}, FindingState.ACKNOWLEDGED),
        ({"change": "suppress", "duration": "7d"}, FindingState.SUPPRESSED),
        ({"change": "resolve"}, FindingState.RESOLVED),
    ],
)
def test_a_change_is_recorded_and_kept(own_shop: Site, form: dict[str, str], state: FindingState) -> None:
    client = own_shop.client("operator")
    assert own_shop.post(client, "/findings/f-drift", form).status_code == 303
    found = own_shop.state.findings.get("f-drift")
    assert found is not None
    assert found.state is state
    assert (found.suppressed_until is not None) == (state is FindingState.SUPPRESSED)
    assert list(own_shop.audit.records())[-1].event.detail["to"] == state.value


@pytest.mark.parametrize("form", [{"change": "delete"}, {"change": "suppress", "duration": "forever"}, {}])
def test_a_change_that_does_not_exist_is_refused(own_shop: Site, form: dict[str, str]) -> None:
    assert own_shop.post(own_shop.client("operator"), "/findings/f-drift", form).status_code == 422


def test_the_filter_the_range_and_the_order_are_in_the_address(shop: Site) -> None:
    client = shop.client("viewer")
    high = client.get("/findings?q=severity:+high").text
    assert "1 finding<" in high
    assert "Rules of db were changed" in high
    assert "not seen in this time range" in client.get("/findings?range=15m&q=kind:+drift").text
    rows = client.get("/findings?sort=-times").text.split("<tbody>")[1]
    counts = [int(part.rsplit(">", 1)[1].replace(",", "")) for part in rows.split(" ×")[:-1]]
    assert counts == sorted(counts, reverse=True)
    assert 'aria-sort="descending"' in client.get("/findings?sort=-times").text


def test_nonsense_in_the_address_is_refused_in_words(shop: Site) -> None:
    client = shop.client("viewer")
    wrong = client.get("/findings?q=severty:+high")
    assert wrong.status_code == 400
    assert "did you mean severity" in wrong.text
    assert client.get("/findings?sort=size").status_code == 400
    assert client.get("/findings?from=2026-02-02&to=2026-02-01").status_code == 400


def test_a_filter_that_hides_all_says_how_many(shop: Site) -> None:
    assert "findings without the filter" in shop.client("viewer").get("/findings?q=workload:+nobody").text


def test_suggestions_speak_of_findings(shop: Site) -> None:
    body = shop.client("viewer").get("/findings/suggest?q=seve").get_json()
    assert body["suggestions"][0]["text"] == "severity: "


def many(site: Site, count: int, at: datetime) -> None:
    for number in range(count):
        site.state.findings.record(
            Finding(
                id=f"f-{number}",
                key=f"k-{number}",
                kind=FindingKind.DETECTION,
                severity=Severity.LOW,
                sentence=f"Thing {number}.",
                first_seen=at,
                last_seen=at,
            )
        )


def test_a_place_beyond_the_end_of_the_list_is_its_last_page(site: Site) -> None:
    many(site, 101, site.clock())
    client = site.client("viewer")
    for offset in (100, 200, 5_000):
        text = client.get(f"/findings?offset={offset}").text
        assert "101 findings" in text and "from number 101 on" in text
        assert text.count("Thing ") == 1
    assert "101 findings without the filter" in client.get("/findings?q=kind:+drift&offset=100").text


def test_a_range_or_a_condition_begins_at_the_first_page(site: Site) -> None:
    many(site, 101, site.clock())
    text = site.client("viewer").get("/findings?offset=100&q=kind:+detection").text
    addresses = [part.split('"')[0] for part in text.split('href="')[1:]]
    assert any("range=24h" in item for item in addresses)
    assert not [item for item in addresses if "offset=" in item and "tz=" not in item]
    assert 'name="offset"' not in text


def test_looking_further_back_stays_within_the_longest_range(site: Site) -> None:
    many(site, 1, site.clock() - timedelta(days=900))
    client = site.client("viewer")
    text = client.get("/findings").text
    links = [part.split('"')[0] for part in text.split('href="') if "Look further back" in part]
    assert links
    assert [client.get(html.unescape(link)).status_code for link in links] == [200] * len(links)


def test_a_file_has_every_finding_of_the_list_in_its_order(own_shop: Site) -> None:
    many(own_shop, 120, own_shop.clock())
    client = own_shop.client("auditor")
    text = client.get("/findings/export.json?q=kind:+detection&sort=-what&offset=100").text
    recorded = list(own_shop.audit.records())[-1].event.detail
    rows = [json.loads(line) for line in text.splitlines() if "remark" not in line]
    assert [row["sentence"] for row in rows] == sorted((f"Thing {number}." for number in range(120)), reverse=True)
    assert (recorded["filter"], recorded["state"], recorded["findings"]) == ("kind: detection", "open", 120)
    assert '"severity"' not in client.get("/findings/export.json?state=resolved").text
    assert client.get("/findings/export.csv?q=dst_prt:+5").status_code == 400


class Plenty:
    """A repository with more findings than are looked at."""

    def __init__(self, one: Finding) -> None:
        self.one = one

    def list(self, *, limit: int, **_: object) -> tuple[Finding, ...]:
        return (self.one,) * limit

    def counts(self) -> dict[str, int]:
        return {}


def test_a_file_says_how_many_findings_were_looked_at(site: Site) -> None:
    many(site, 1, site.clock())
    site.state.findings = Plenty(site.state.findings.list()[0])  # type: ignore[assignment]
    client = site.client("auditor")
    assert "the least severe are left out" in client.get("/findings").text
    text = client.get("/findings/export.csv").text
    assert f"only the {MOST} most severe findings were looked at" in text
    assert text.count("Thing 0.") == MOST


def test_the_rule_of_a_staged_finding_finds_what_it_would_have_decided(shop: Site) -> None:
    client = shop.client("viewer")
    rules = {}
    for item in shop.state.findings.list(limit=100):
        if item.rule:
            text = client.get(f"/findings/{item.id}").text
            rules[item.staged] = "q=staged_rule%3A" in text
            assert f"from={quote(item.first_seen.isoformat().replace('+00:00', 'Z'))}" in text
    assert rules == {True: True, False: False}

"""Reports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from audit.report.catalogue import CATALOGUE
from ringfence.store.state import ReportRecord
from tests.support.site import Site


@pytest.mark.parametrize("kind", CATALOGUE)
def test_a_report_is_made_listed_and_downloaded(own_shop: Site, kind: str) -> None:
    client = own_shop.client("auditor")
    assert own_shop.post(client, "/reports?range=24h", {"kind": kind}).status_code == 303
    record = own_shop.state.reports.list()[0]
    assert (record.state, record.error) == ("done", "")
    assert record.digest[:12] in client.get("/reports").text
    for kind_of_file in record.files:
        answer = client.get(f"/reports/{record.id}/{kind_of_file}")
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"].startswith("attachment")
        if kind_of_file == "json":
            assert json.loads(answer.text)["digest"]["value"] == record.digest
        answer.close()
    assert "export" in [item.event.action.value for item in own_shop.audit.records()]


def test_each_kind_has_a_field_for_what_it_takes_and_the_zone_is_that_of_the_page(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    text = client.get("/reports").text
    assert [f'form="make-{kind}" name="{name}"' in text for kind in CATALOGUE for name in ("scope", "group_by")] == [
        name in entry.parameters for entry in CATALOGUE.values() for name in ("scope", "group_by")
    ]
    form = {"kind": "segmentation", "scope": "role == 'db'", "group_by": "role"}
    assert own_shop.post(client, "/reports?range=24h&tz=Asia/Tokyo", form).status_code == 303
    record = own_shop.state.reports.list()[0]
    assert (record.state, record.parameters["zone"]) == ("done", "Asia/Tokyo")
    content = json.loads(Path(record.files["json"]).read_text())["content"]
    assert content["parameters"] == {"scope": "role == 'db'", "grouped by": "role"}
    assert content["window"]["zone"] == "Asia/Tokyo"
    assert own_shop.post(client, "/reports", {"kind": "segmentation", "scope": " ", "group_by": ""}).status_code == 303


@pytest.mark.parametrize(
    "form", [{"kind": "flow", "scope": "role == 'db'"}, {"kind": "segmentation", "scope": "role =="}], ids=str
)
def test_what_a_report_cannot_take_is_refused_when_it_is_ordered(own_shop: Site, form: dict[str, str]) -> None:
    assert own_shop.post(own_shop.client("auditor"), "/reports?range=24h", form).status_code == 422
    assert own_shop.state.reports.list() == ()


def test_a_running_report_shows_how_far_it_is_and_a_done_one_does_not(site: Site) -> None:
    running = ReportRecord(
        id="r1", kind="flow", title="Flow report", created=site.clock(), author="ada", parameters={}, digest="",
        files={}, state="running",
    )  # fmt: skip
    site.state.reports.save(running)
    client = site.client("viewer")
    assert "waiting" in client.get("/reports").text
    site.state.reports.advance("r1", progress=45, step="edges")
    text = client.get("/reports").text
    assert '<progress max="100" value="45" aria-label="Flow report: how far it is">' in text
    assert "45 %, edges" in text
    assert 'data-follow="report"' in text
    site.state.reports.save(replace(running, state="done", progress=100))
    assert "<progress" not in client.get("/reports").text


def test_what_is_not_in_the_catalogue_is_refused(site: Site) -> None:
    assert site.post(site.client("auditor"), "/reports", {"kind": "everything"}).status_code == 422


def test_no_report_is_made_over_an_impossible_range_or_filter(site: Site) -> None:
    client = site.client("auditor")
    assert site.post(client, "/reports?from=2026-02-02&to=2026-02-01", {"kind": "flow"}).status_code == 400
    assert site.post(client, "/reports?q=verdict:", {"kind": "flow"}).status_code == 400
    assert site.state.reports.list() == ()


@pytest.mark.parametrize("path", ["x/html", "../../etc/html", "x/exe"])
def test_only_files_of_reports_are_served(site: Site, path: str) -> None:
    assert site.client("auditor").get(f"/reports/{path}").status_code == 404


def test_the_history_follows_reports(site: Site) -> None:
    text = site.client("viewer").get("/reports").text
    assert 'data-refresh="reports" data-follow="report"' in text
    assert "data-refresh-every" not in text


def test_a_refused_report_keeps_its_fields_and_a_made_one_the_filter(own_shop: Site) -> None:
    client = own_shop.client("auditor")
    form = {"kind": "segmentation", "scope": "role ==", "group_by": "role"}
    answer = own_shop.post(client, "/reports?range=24h", form)
    assert "No report was ordered:" in answer.text
    assert 'form="make-segmentation" name="scope" value="role =="' in answer.text
    made = own_shop.post(client, "/reports?range=24h&q=verdict:+denied", {"kind": "flow"})
    assert made.headers["Location"] == "/reports?range=24h&q=verdict%3A+denied"

"""Reports."""

from __future__ import annotations

import json

import pytest

from audit.report.catalogue import CATALOGUE
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

"""Files of what pages list: whole, the same as CSV and as JSON, harmless in a spreadsheet, recorded first."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ringfence.model.event import EventAction
from tests.support.repository import ROOT
from tests.support.site import Site

FILES = {
    "flows": "/flows/export",
    "audit log": "/audit/export",
    "findings": "/findings/export",
    "workloads": "/workloads/export",
    "edges": "/map/export",
    "quarantines": "/quarantine/export",
    "gaps": "/health/gaps/export",
}
PAGES = ("/flows", "/audit", "/findings", "/workloads", "/map", "/quarantine", "/health")
SELECTED = {name: path for name, path in FILES.items() if name not in ("audit log", "gaps", "quarantines")}
"""Files over a time range in which something may be missing."""


def of_csv(text: str) -> tuple[list[dict[str, str]], list[str]]:
    """The rows of a file, and its remarks."""
    lines = list(csv.reader(io.StringIO(text)))
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:] if not line[0].startswith("# ")]
    return rows, [line[0] for line in lines if line[0].startswith("# ")]


def of_json(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    lines = [json.loads(line) for line in text.splitlines()]
    return [line for line in lines if "remark" not in line], [line["remark"] for line in lines if "remark" in line]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A full estate whose audit log these tests may make longer."""
    with Site(tmp_path_factory.mktemp("books"), demo=True) as made:
        yield made


@pytest.mark.parametrize(("what", "path"), FILES.items(), ids=FILES)
def test_both_files_have_the_same_rows_and_are_recorded_before(books: Site, what: str, path: str) -> None:
    client = books.client("auditor")
    table = client.get(f"{path}.csv?range=24h")
    recorded = list(books.audit.records())[-1].event
    rows, remarks = of_csv(table.text)
    objects, same = of_json(client.get(f"{path}.json?range=24h").text)
    assert (recorded.action, recorded.target) == (EventAction.EXPORT, f"{what} as csv")
    assert recorded.detail.get(what, len(rows)) == len(rows) > 0
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert f'attachment; filename="{what.replace(" ", "-")}-2' in table.headers["Content-Disposition"]
    # The second export finds the first in the audit log.
    assert [list(row) for row in objects[: len(rows)]] == [list(row) for row in rows]
    assert len(objects) == len(rows) + (what == "audit log")
    assert len(remarks) == len(same)


@pytest.mark.parametrize(("what", "path"), SELECTED.items(), ids=SELECTED)
def test_what_is_missing_in_the_range_is_said_at_the_end(books: Site, what: str, path: str) -> None:
    _, remarks = of_csv(books.client("auditor").get(f"{path}.csv?range=7d").text)
    assert sum("gap on shop-1" in remark for remark in remarks) == 2
    assert any("not watched from the start" in remark for remark in remarks)


def test_without_a_record_there_is_no_file(site: Site) -> None:
    client = site.client("auditor")
    site.audit.close()
    assert {client.get(f"{path}.csv").status_code for path in FILES.values()} == {503}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_with_a_table_offers_its_files_to_whoever_may_have_them(shop: Site, page: str) -> None:
    offered = [path for path in FILES.values() if path.startswith(page)]
    text = shop.client("auditor").get(f"{page}?range=24h").text
    assert [path for path in offered for kind in ("csv", "json") if f'href="{path}.{kind}?range=24h"' not in text] == []
    assert "/export." not in shop.client("viewer").get(f"{page}?range=24h").text


@pytest.mark.parametrize("page", PAGES)
def test_a_file_that_is_neither_csv_nor_json_does_not_exist(shop: Site, page: str) -> None:
    path = next(path for path in FILES.values() if path.startswith(page))
    assert shop.client("auditor").get(f"{path}.xml").status_code == 404


@pytest.mark.parametrize("path", [path for name, path in FILES.items() if name != "quarantines"])
def test_an_impossible_range_gives_no_file(shop: Site, path: str) -> None:
    assert shop.client("auditor").get(f"{path}.csv?from=2026-02-02&to=2026-02-01").status_code == 400


def test_every_file_there_is_is_documented(shop: Site) -> None:
    rules = {rule.rule for rule in shop.app.url_map.iter_rules() if rule.endpoint.endswith(".export")}
    assert rules == {f"{path}.<any(csv, json):kind>" for path in FILES.values()}
    text = (ROOT / "docs/web.md").read_text(encoding="utf-8")
    assert [path for path in FILES.values() if f"| `{path}.csv` |" not in text] == []


def test_no_name_becomes_a_formula(own_shop: Site) -> None:
    db = own_shop.workloads()["db"]
    own_shop.state.workloads.save([replace(db, name="=1+1", image="@SUM(A1)")])
    rows, _ = of_csv(own_shop.client("auditor").get("/workloads/export.csv").text)
    row = next(row for row in rows if row["id"] == db.id)
    assert (row["name"], row["image"]) == ("'=1+1", "'@SUM(A1)")


def test_times_have_their_zone(books: Site) -> None:
    rows, _ = of_csv(books.client("auditor").get("/quarantine/export.csv").text)
    assert rows[0]["created"].endswith("Z") and rows[0]["released"] == ""
    gaps, _ = of_csv(books.client("auditor").get("/health/gaps/export.csv?tz=Europe/Berlin").text)
    assert {row["started"][-1] for row in gaps} == {"Z"}


def test_a_list_over_another_time_has_its_own_rows(books: Site) -> None:
    start = books.clock() - timedelta(hours=2)
    rows, _ = of_csv(books.client("auditor").get(f"/health/gaps/export.csv?from={int(start.timestamp())}").text)
    assert [row["lost"] for row in rows] == ["1204"]

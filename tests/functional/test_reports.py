"""Reports over real stores and a real audit log, printed by a real browser."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audit.log import AuditLog
from audit.report.catalogue import CATALOGUE, make_report
from audit.report.document import Document, Table
from audit.report.files import digest_holds, write
from ringfence.model.event import EventAction
from ringfence.model.workload import Workload, WorkloadKind
from ringfence.store.database.opening import open_state
from ringfence.store.duckdb import DuckDBFlowStore
from ringfence.store.state import State
from tests.support.audit_sources import SHOP_POLICY, gap
from tests.support.audit_sources import record as event
from tests.support.generate import START, flow_batch, workloads
from tests.support.require import command, require

END = START + timedelta(hours=6)
NOW = END + timedelta(seconds=20)
WINDOW = {"start": START.isoformat(), "end": END.isoformat(), "zone": "Europe/Berlin"}
ROWS = 3000


@dataclass(frozen=True)
class Estate:
    """Real stores with generated traffic."""

    flows: DuckDBFlowStore
    state: State
    log: AuditLog
    rows: list[dict[str, Any]]

    def report(self, kind: str, **parameters: str) -> Document:
        return make_report(kind, WINDOW | parameters, self.flows, self.state, self.log, lambda: NOW)


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    folder = tmp_path_factory.mktemp("estate")
    flows = DuckDBFlowStore(folder / "flows.duckdb")
    members = workloads(12)
    batch = flow_batch(ROWS, seed=4, start=START, span=timedelta(hours=5), estate=members)
    flows.append(replace(batch, gaps=(gap(started=START, ended=START + timedelta(minutes=1)),)))
    state = open_state(folder / "state.db")
    state.policies.apply(text=SHOP_POLICY, author="anna", reason="ticket 7", at=START - timedelta(days=1))
    state.workloads.save(
        Workload(
            id=item["id"],
            name=item["name"],
            kind=WorkloadKind(item["kind"]),
            host="h1",
            labels=dict(pair.split("=", 1) for pair in item["labels"]),
            started=START - timedelta(hours=1),
        )
        for item in members
    )
    log = AuditLog(folder / "audit", lambda: NOW)
    log.append(replace(event(EventAction.POLICY_APPLIED, actor="anna"), at=START + timedelta(minutes=1)))
    log.append(replace(event(EventAction.DRIFT_REPAIRED, detail={"open_seconds": 1.2}), at=START + timedelta(hours=2)))
    yield Estate(flows, state, log, batch.flows.to_pylist())
    log.close()
    state.close()
    flows.close()


def table(document: Document, key: str) -> Table:
    return next(found for section in document.sections for found in section.tables if found.key == key)


def test_the_totals_are_those_of_the_flows_that_were_stored(estate: Estate) -> None:
    document = estate.report("flow")
    facts = {fact.label: fact.value for fact in document.sections[0].facts}
    split = Counter(
        "denied" if row["enforced"] == "denied" else "staged" if row["staged"] == "denied" else "other"
        for row in estate.rows
    )
    assert facts["Connections"] == ROWS
    assert facts["Denied"] == split["denied"]
    assert facts["Would be denied"] == split["staged"]
    assert facts["Bytes"] == sum((row["src_bytes"] or 0) + (row["dst_bytes"] or 0) for row in estate.rows)
    assert sum(int(str(row[2])) for row in table(document, "verdicts").rows) == ROWS


def test_edges_and_peers_together_are_every_connection(estate: Estate) -> None:
    document = estate.report("flow")
    counted = [int(str(row[4])) for key in ("edges", "peers") for row in table(document, key).rows]
    assert sum(counted) == ROWS
    assert sum(int(str(row[3])) for row in table(document, "denied").rows) == sum(
        row["enforced"] == "denied" for row in estate.rows
    )


def test_a_filter_narrows_every_figure_and_is_named(estate: Estate) -> None:
    document = estate.report("flow", filter="verdict: denied and port: 5432")
    wanted = [row for row in estate.rows if row["enforced"] == "denied" and 5432 in (row["src_port"], row["dst_port"])]
    assert document.sections[0].facts[0].value == len(wanted) > 0
    assert document.filter == "verdict: denied and port: 5432"
    assert any("match the filter" in note.text for note in document.notes)


def test_the_window_narrows_every_figure(estate: Estate) -> None:
    until = START + timedelta(hours=1)
    document = estate.report("flow", end=until.isoformat())
    assert document.sections[0].facts[0].value == sum(row["started"] < until for row in estate.rows)


@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_a_report_made_again_has_the_same_digest_until_something_changes(estate: Estate, kind: str) -> None:
    assert estate.report(kind).digest == estate.report(kind).digest
    assert estate.report(kind).digest != estate.report(kind, end=(END - timedelta(hours=3)).isoformat()).digest


@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_what_is_recorded_after_the_window_does_not_change_the_digest(estate: Estate, kind: str) -> None:
    before = estate.report(kind).digest
    estate.log.append(replace(event(EventAction.REPORT_CREATED, actor="anna", origin="192.0.2.1"), at=NOW))
    assert estate.report(kind).digest == before


@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_every_report_is_written_in_every_format(estate: Estate, kind: str, tmp_path: Path) -> None:
    document = estate.report(kind)
    files = {name: Path(path) for name, path in write(document, tmp_path).items()}
    assert digest_holds(files["json"].read_text())
    for path in files.values():
        text = path.read_text(encoding="utf-8")
        assert document.digest in text
    assert json.loads(files["json"].read_text())["content"]["window"]["zone"] == "Europe/Berlin"


@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_every_report_says_its_gap_and_the_state_of_the_audit_log(estate: Estate, kind: str) -> None:
    document = estate.report(kind)
    assert any("1 gap recorded on h1" in note.text for note in document.notes)
    facts = {fact.label: fact.value for fact in document.sections[-1].facts}
    assert facts["Audit log"] == "intact"
    last = next(record for record in estate.log.records(newest_first=True) if record.event.at < END)
    assert facts["Audit records up to then"] == last.sequence == 2
    assert facts["Hash of the last of them"] == last.hash


def test_over_a_gap_the_segmentation_report_passes_no_control_of_absence(estate: Estate) -> None:
    document = estate.report("segmentation")
    results = {row[1]: row[3] for row in table(document, "controls").rows}
    assert {results[key] for key in ("AC-4", "SC-7", "1.2.5", "1.2.6")} <= {"fail", "not decided"}
    assert "no connection was recorded that got past policy" not in document.statement


@pytest.mark.browser
@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_on_paper_every_page_has_its_number_window_filter_and_digest(estate: Estate, kind: str, tmp_path: Path) -> None:
    require("chromium", "pdftotext")
    from playwright.sync_api import sync_playwright

    document = estate.report(kind, filter="not port: 1")
    page_file = write(document, tmp_path)["html"]
    asked: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=command("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(color_scheme="dark")
        complaints: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(Path(page_file).as_uri())
        for paper in ("A4", "Letter"):
            page.pdf(path=str(tmp_path / f"{paper}.pdf"), format=paper)
        page.emulate_media(media="print")
        background = page.evaluate("getComputedStyle(document.querySelector('h1')).color")
        browser.close()
    assert asked == [Path(page_file).as_uri()]
    assert complaints == []
    assert background == "rgb(27, 32, 38)"
    for paper, size in (("A4", "595"), ("Letter", "612")):
        pages = pages_of(tmp_path / f"{paper}.pdf")
        for number, text in enumerate(pages, start=1):
            assert f"page {number} of {len(pages)}" in text
            assert document.digest in text
            assert "filter: not port: 1" in text
            assert "Europe/Berlin" in text
        info = subprocess.run(["pdfinfo", tmp_path / f"{paper}.pdf"], capture_output=True, text=True, check=True).stdout
        found = re.search(r"Page size:\s+(\d+)", info)
        assert found is not None and abs(int(found[1]) - int(size)) <= 1


def pages_of(path: Path) -> list[str]:
    done = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True, timeout=60)
    return [page for page in done.stdout.split("\f") if page.strip()]

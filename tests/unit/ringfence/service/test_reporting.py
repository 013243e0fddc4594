"""Reports are made once, failures are kept as words, and retention is told only when something was deleted."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ringfence.clock import Clock
from ringfence.errors import StoreUnavailable
from ringfence.model.event import AuditEvent
from ringfence.service.reporting import CLAIM, COMPUTED, EVERY, Advance, Reporting
from ringfence.store.state import ReportRecord
from tests.support.estate import NOW, Estate

WINDOW = {"start": (NOW - timedelta(hours=1)).isoformat(), "end": NOW.isoformat()}


def _order(estate: Estate, kind: str = "flow", state: str = "running") -> ReportRecord:
    record = ReportRecord(
        id="r1",
        kind=kind,
        title=kind,
        created=NOW,
        author="ada",
        parameters=WINDOW,
        digest="",
        files={},
        state=state,
    )
    estate.state.reports.save(record)
    return record


class Made:
    """A reporting over an estate, with the events it told of. Kept for `days`; without `clock` time stands still."""

    def __init__(
        self,
        estate: Estate,
        *,
        days: int = 30,
        later: timedelta = timedelta(0),
        flows: Any = None,
        clock: Clock | None = None,
    ) -> None:
        self.events: list[AuditEvent] = []
        self.advanced: list[tuple[str, str]] = []
        self.ended: list[tuple[str, str]] = []
        self.folder = estate.folder / "reports"
        self.reporting = Reporting(
            state=estate.state,
            flows=flows or estate.flows,
            audit=estate.audit,
            folder=self.folder,
            retention=timedelta(days=days),
            account=self.events.append,
            clock=clock or (lambda: NOW + later),
            changed=self._note,
        )

    def _note(self, record: ReportRecord) -> None:
        (self.advanced if record.state == "running" else self.ended).append((record.id, record.state))


def test_an_ordered_report_is_made_with_its_files_and_digest(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        _order(estate)
        made = Made(estate)
        assert made.reporting.pending_reports() == ("r1",)
        made.reporting.make_report("r1")
        found = estate.state.reports.get("r1")
        assert found is not None
        assert (found.state, bool(found.digest), set(found.files)) == ("done", True, {"html", "csv", "json"})
        assert made.reporting.pending_reports() == ()
        assert made.ended == [("r1", "done")]
        assert made.advanced


class WatchedFlows:
    """A flow store that notes how far the report is whenever it is asked."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self.seen: list[tuple[int, str]] = []

    def __getattr__(self, name: str) -> Any:
        found = self._estate.state.reports.get("r1")
        assert found is not None
        self.seen.append((found.progress, found.step))
        return getattr(self._estate.flows, name)


def test_how_far_a_report_is_stands_in_its_record_while_it_is_made(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        _order(estate)
        moments = itertools.count()
        watched = WatchedFlows(estate)
        Made(estate, flows=watched, clock=lambda: NOW + next(moments) * EVERY).reporting.make_report("r1")
        assert watched.seen == sorted(watched.seen, key=lambda item: item[0])
        assert {(0, "gaps and audit log"), (int(0.5 * COMPUTED), "edges")} <= set(watched.seen)
        found = estate.state.reports.get("r1")
        assert found is not None
        assert (found.state, found.progress, found.step) == ("done", 100, "")


class RecordedAdvances:
    """Reports that keep how far they were said to be; `away`: the store does not answer."""

    def __init__(self, *, away: bool = False) -> None:
        self.told: list[tuple[int, str]] = []
        self._away = away

    def advance(self, report_id: str, *, progress: int, step: str, until: datetime) -> None:
        if self._away:
            raise StoreUnavailable("the state store does not answer")
        self.told.append((progress, step))


def test_progress_is_written_at_most_once_a_second_and_never_stops_a_report() -> None:
    reports: Any = RecordedAdvances()
    seconds = iter([0.0, 0.4, 0.9, 1.0, 1.5, -60.0])
    advance = Advance(reports, "r1", lambda: NOW + timedelta(seconds=next(seconds)))
    for share in (0.0, 0.1, 0.2, 0.5, 0.6):
        advance.computing(share, f"{share}")
    advance.tell(COMPUTED, "the clock was set back")
    assert reports.told == [(0, "0.0"), (int(0.5 * COMPUTED), "0.5"), (COMPUTED, "the clock was set back")]
    away: Any = RecordedAdvances(away=True)
    Advance(away, "r1", lambda: NOW).computing(0.0, "begins")


def test_that_all_is_computed_does_not_hide_that_the_files_are_written() -> None:
    reports: Any = RecordedAdvances()
    advance = Advance(reports, "r1", lambda: NOW)
    advance.computing(1.0, "done")
    advance.tell(COMPUTED, "writing the files")
    assert reports.told == [(COMPUTED, "writing the files")]


class FailingReports:
    """Reports of a store that is away when a claim is to be ended: at those calls for which `away` says so."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.away: list[bool] = []

    def _answer(self) -> None:
        if self.away and self.away.pop(0):
            raise StoreUnavailable("the state store does not answer")

    def save(self, report: ReportRecord) -> None:
        self._answer()
        self.inner.save(report)

    def release(self, report_id: str, *, until: datetime) -> None:
        self._answer()
        self.inner.release(report_id, until=until)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.mark.parametrize("flows_away", [False, True], ids=["of the state store", "of both stores"])
def test_an_outage_is_no_attempt(tmp_path: Path, flows_away: bool) -> None:
    with Estate(tmp_path) as estate:
        _order(estate)
        reports: Any = FailingReports(estate.state.reports)
        estate.state.reports = reports
        made = Made(estate, flows=AwayFlows() if flows_away else None)
        still_away, back_and_away = [True], [False, True]
        for calls in ([True], *[still_away, back_and_away] * 3):
            reports.away = list(calls)
            with pytest.raises(StoreUnavailable):
                made.reporting.make_report("r1")
            assert not reports.away
        if flows_away:
            made.reporting.make_report("r1")  # the state store is back: the claim is given up
            made = Made(estate)
        made.reporting.make_report("r1")
        found = estate.state.reports.get("r1")
        assert found is not None and (found.state, found.progress) == ("done", 100), found.error


def test_every_step_extends_the_claim(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        _order(estate)
        reports = estate.state.reports
        assert reports.claim("r1", now=NOW, until=NOW + CLAIM) == 1
        Advance(reports, "r1", lambda: NOW + CLAIM - EVERY).computing(0.5, "edges")
        assert not reports.claim("r1", now=NOW + 2 * CLAIM - 2 * EVERY, until=NOW + 3 * CLAIM)
        assert reports.claim("r1", now=NOW + 2 * CLAIM - EVERY, until=NOW + 3 * CLAIM) == 2


def test_a_claim_that_was_extended_is_given_up_like_any_other(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        _order(estate)
        moments = itertools.count()
        made = Made(estate, flows=AwayFlows(), clock=lambda: NOW + next(moments) * EVERY)
        for _ in range(5):
            made.reporting.make_report("r1")
        assert made.advanced
        assert estate.state.reports.claim("r1", now=NOW, until=NOW + CLAIM) == 1


def test_a_message_that_comes_twice_changes_nothing(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        done = _order(estate, state="done")
        made = Made(estate)
        made.reporting.make_report("r1")
        made.reporting.make_report("unknown")
        assert estate.state.reports.get("r1") == done
        assert not made.folder.exists()


def test_an_order_waits_behind_no_number_of_later_reports(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        order = _order(estate)
        for number in range(200):
            later = NOW + timedelta(seconds=1 + number)
            estate.state.reports.save(replace(order, id=f"later{number}", created=later, state="done"))
        estate.state.reports.save(replace(order, id="r2", created=NOW + timedelta(hours=1)))
        assert Made(estate).reporting.pending_reports() == ("r1", "r2")


def test_what_another_worker_has_in_hand_is_left_to_it_until_its_claim_ends(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        _order(estate)
        assert estate.state.reports.claim("r1", now=NOW, until=NOW + CLAIM)
        Made(estate, later=CLAIM - timedelta(seconds=1)).reporting.make_report("r1")
        found = estate.state.reports.get("r1")
        assert found is not None and found.state == "running"
        Made(estate, later=CLAIM).reporting.make_report("r1")
        found = estate.state.reports.get("r1")
        assert found is not None and found.state == "done"


def test_a_report_over_which_workers_die_is_given_up_at_the_third_claim(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        _order(estate)
        for number in range(2):
            assert estate.state.reports.claim("r1", now=NOW + number * CLAIM, until=NOW + (number + 1) * CLAIM)
        made = Made(estate, later=2 * CLAIM)
        made.reporting.make_report("r1")
        found = estate.state.reports.get("r1")
        assert found is not None and found.state == "failed"
        assert "begun 2 times" in found.error and "shorter time range" in found.error
        assert made.reporting.pending_reports() == ()


def test_waiting_for_a_store_is_no_attempt(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        _order(estate)
        for _ in range(5):
            Made(estate, flows=AwayFlows()).reporting.make_report("r1")
        Made(estate).reporting.make_report("r1")
        found = estate.state.reports.get("r1")
        assert found is not None and found.state == "done"


def test_what_cannot_be_made_says_why(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        _order(estate, kind="horoscope")
        made = Made(estate)
        made.reporting.make_report("r1")
        found = estate.state.reports.get("r1")
        assert found is not None
        assert found.state == "failed"
        assert made.ended == [("r1", "failed")]
        assert "horoscope" in found.error


def test_what_retention_deletes_stands_in_the_state_store_for_every_process(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        Made(estate, days=3).reporting.apply_retention()
        assert estate.state.deletions.before("flows") == NOW - timedelta(days=3)
        _order(estate)
        made = Made(estate)
        made.reporting.make_report("r1")
        report = json.loads(next(made.folder.rglob("*.json")).read_text())["content"]
        assert not any("deleted by retention" in note["text"] for note in report["notes"])
        longer = {"start": (NOW - timedelta(days=9)).isoformat(), "end": NOW.isoformat()}
        estate.state.reports.save(replace(_order(estate), id="r2", parameters=longer))
        made.reporting.make_report("r2")
        report = json.loads(next((made.folder / "r2").glob("*.json")).read_text())["content"]
        assert any("deleted by retention" in note["text"] for note in report["notes"])


class AwayFlows:
    """A flow store that does not answer."""

    def __getattr__(self, name: str) -> Any:
        raise StoreUnavailable("the flow store does not answer")


def test_a_report_that_waits_for_a_store_may_be_taken_up_at_once(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        _order(estate)
        away = Made(estate, flows=AwayFlows())
        away.reporting.make_report("r1")
        assert away.reporting.pending_reports() == ("r1",)
        waiting = estate.state.reports.get("r1")
        assert waiting is not None and (waiting.progress, waiting.step) == (0, ""), "it waits, and says so"
        Made(estate).reporting.make_report("r1")
        found = estate.state.reports.get("r1")
        assert found is not None and found.state == "done"

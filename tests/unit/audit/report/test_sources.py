from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from audit.report.sources import DENIED, STAGED, ReportCancelled
from ringfence.model.event import EventAction
from tests.support.audit_sources import ListTrail, denied, flow, record, slipped, sources


def test_conditions_narrow_the_reports_own_filter() -> None:
    found = sources([flow(), denied(), denied("api"), slipped()], text="src.name: web")
    assert sum(row["flows"] for row in found.summary(("src_name",))) == 2
    assert sum(row["flows"] for row in found.summary(("src_name",), DENIED)) == 1
    assert sum(row["flows"] for row in found.summary(("src_name",), STAGED)) == 1


def test_events_are_those_of_the_window_oldest_first() -> None:
    trail = ListTrail(
        record(EventAction.DRIFT_REPAIRED, -1),
        record(EventAction.DRIFT_REPAIRED, 5),
        record(EventAction.LOGIN, 6),
        record(EventAction.DRIFT_REPAIRED, 7),
        record(EventAction.DRIFT_REPAIRED, 60),
    )
    found = sources(trail=trail).events(EventAction.DRIFT_REPAIRED)
    assert [item.sequence for item in found] == [2, 4]


def test_without_a_trail_there_are_no_events() -> None:
    assert replace(sources(), trail=None).events(EventAction.LOGIN) == ()


def test_progress_is_told_and_cancellation_is_heard_between_steps() -> None:
    told: list[tuple[float, str]] = []
    asked = replace(sources(), progress=lambda share, what: told.append((share, what)))
    asked.step(0.5, "half")
    assert told == [(0.5, "half")]
    with pytest.raises(ReportCancelled):
        replace(asked, cancelled=lambda: True).step(0.6, "more")
    assert len(told) == 1


def test_a_record_of_an_old_time_does_not_hide_those_before_it() -> None:
    old = record(EventAction.GAP_RECORDED)
    trail = ListTrail(
        record(EventAction.LOGIN, 5), replace(old, at=old.at - timedelta(days=2000)), record(EventAction.LOGIN, 6)
    )
    assert [item.sequence for item in sources(trail=trail).events(EventAction.LOGIN)] == [1, 3]

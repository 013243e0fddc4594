from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from audit.reader import AuditReader
from audit.report.completeness import (
    completeness_section,
    examine_completeness,
    gap_notes,
    limited,
    unrecorded,
    with_caveat,
)
from audit.report.document import Column, Section, Table, Weight
from ringfence.model.event import AuditEvent, EventAction
from ringfence.store.state import HostStatus
from tests.support.audit_sources import END, START, ListTrail, gap, record, shop, sources

EMPTY = Table(key="t", title="T", columns=(Column(title="A"),), rows=(), empty="No denied connection was recorded.")


def test_nothing_in_the_way_is_whole() -> None:
    found = examine_completeness(sources())
    assert found.whole and found.limits == ()
    assert gap_notes(found) == ()
    assert "complete as far as Ringfence can know" in completeness_section(found).text


def test_a_gap_is_a_limit_a_note_and_a_row() -> None:
    found = examine_completeness(sources(gaps=(gap(), gap(id="h", lost=None, host="h2"))))
    assert not found.whole
    assert gap_notes(found)[0].weight is Weight.GAP
    section = completeness_section(found)
    assert "claims no absence" in section.text
    facts = {fact.label: fact.value for fact in section.facts}
    assert (facts["Gaps"], facts["Records known to be lost"], facts["Gaps of unknown size"]) == (2, 7, 1)
    assert len(section.tables[0].rows) == 2


def test_a_filter_a_deletion_and_a_silent_host_are_limits_too() -> None:
    assert "only connections that match" in examine_completeness(sources(text="port: 80")).limits[0]
    swept = examine_completeness(sources(of=shop(deleted=START + timedelta(minutes=1))))
    assert "deleted by retention" in swept.limits[0] and swept.deleted_before == START + timedelta(minutes=1)
    silent = HostStatus(host="h9", at=END - timedelta(minutes=5), facts={}, first_heard=START)
    heard = HostStatus(host="h1", at=END, facts={}, first_heard=START)
    found = examine_completeness(sources(of=shop(hosts=(silent, heard))))
    assert found.limits == ("not heard up to the end of the window: h9",)


@pytest.mark.parametrize(
    ("since", "whole"),
    [
        pytest.param(None, True, id="nothing waits"),
        pytest.param(START, False, id="since the window began"),
        pytest.param(END + timedelta(seconds=30), False, id="of a tick that may reach into it"),
        pytest.param(END + timedelta(hours=1), True, id="only of later"),
    ],
)
def test_what_still_waits_in_a_spool_is_a_limit(since: datetime | None, whole: bool) -> None:
    facts = {"held_up_since": since.isoformat() if since else None}
    host = HostStatus(host="h1", at=END + timedelta(hours=2), facts=facts, first_heard=START)
    found = examine_completeness(sources(of=shop(hosts=(host,))))
    assert found.whole == whole
    if since is not None:
        told = f"what was seen since {since:%Y-%m-%d %H:%M:%S} UTC still waits in the spool of h1"
        assert found.limits == (() if whole else (told,))
        assert unrecorded(shop(hosts=(host,)), START) == [told], "until now, it is always one"


def test_a_retired_host_is_a_note_and_no_limit_of_what_came_after(retired: HostStatus) -> None:
    heard = HostStatus(host="h1", at=END, facts={}, first_heard=START - timedelta(days=9))
    found = examine_completeness(sources(of=shop(hosts=(heard, retired))))
    assert found.whole
    (note,) = completeness_section(found).notes
    assert "h9 on 2026-11-24 07:00:00 UTC (scrapped)" in note.text
    later = replace(retired, retired=START + timedelta(minutes=30))
    found = examine_completeness(sources(of=shop(hosts=(heard, later))))
    assert found.limits[-1] == "not heard up to the end of the window: h9", "it may have seen something until then"
    found = examine_completeness(sources(of=shop(hosts=(heard, replace(later, at=later.retired)))))
    assert found.limits[-1].startswith("what was seen since"), "heard up to the end of its service, but not all"
    after = examine_completeness(sources(of=shop(hosts=(heard, replace(retired, at=END, retired=END)))))
    assert completeness_section(after).notes == ()


def test_without_any_host_in_service_nothing_was_watched(retired: HostStatus) -> None:
    found = examine_completeness(sources(of=shop(hosts=(retired,))))
    assert found.limits == ("every host was taken out of service before, so nothing was watched",)


@pytest.fixture
def retired() -> HostStatus:
    """Retired an hour before the window begins, a day after it was last heard, with flows left in its spool."""
    retired = START - timedelta(hours=1)
    heard = retired - timedelta(days=1)
    facts = {"held_up_since": heard.isoformat()}
    first = heard - timedelta(days=9)
    return HostStatus(host="h9", at=heard, facts=facts, first_heard=first, retired=retired, retired_reason="scrapped")


def test_deletions_before_the_window_do_not_matter() -> None:
    assert examine_completeness(sources(of=shop(deleted=START))).whole


def test_time_that_nobody_watched_is_a_limit() -> None:
    nobody = examine_completeness(sources(of=shop(hosts=())))
    assert nobody.limits == ("no host has ever reported, so nothing was watched",)
    assert "complete as far as" not in completeness_section(nobody).text
    young = HostStatus(host="h2", at=END, facts={}, first_heard=START + timedelta(minutes=1))
    old = HostStatus(host="h1", at=END, facts={}, first_heard=START - timedelta(days=1))
    found = examine_completeness(sources(of=shop(hosts=(old, young))))
    assert found.limits == ("not watched from the start of the window: h2 (since 2026-11-24 08:01:00 UTC)",)
    assert examine_completeness(sources(of=shop(hosts=(old,)))).whole
    unknown = examine_completeness(sources(of=shop(hosts=(HostStatus(host="h3", at=END, facts={}),))))
    assert unknown.limits == ("not watched from the start of the window: h3",)


def test_a_record_of_an_old_time_leaves_the_anchor_of_a_past_window_where_it_was() -> None:
    told = (record(EventAction.LOGIN, -3000), record(EventAction.LOGIN, 5), record(EventAction.LOGIN, 60))
    assert _anchor(*told[:1]) == 1
    assert _anchor(*told) == 2
    assert _anchor(*told, record(EventAction.GAP_RECORDED, -9000)) == 2
    assert _anchor(told[2]) is None


def _anchor(*events: AuditEvent) -> int | None:
    anchor = examine_completeness(sources(trail=ListTrail(*events))).anchor
    return anchor.sequence if anchor else None


def test_a_broken_audit_log_is_a_warning_and_a_missing_one_is_said() -> None:
    found = examine_completeness(sources(trail=ListTrail(problem="line 3 was changed")))
    assert [note.weight for note in gap_notes(found)] == [Weight.GAP, Weight.WARNING]
    assert not found.whole
    assert "NOT intact" in str({fact.label: fact.value for fact in completeness_section(found).facts}["Audit log"])
    elsewhere = examine_completeness(sources(trail=AuditReader(Path("/no/such/folder"))))
    assert "made without the audit log" in gap_notes(elsewhere)[1].text
    assert not elsewhere.whole
    assert "not readable" in str(
        {fact.label: fact.value for fact in completeness_section(elsewhere).facts}["Audit log"]
    )
    absent = examine_completeness(replace(sources(), trail=None))
    assert absent.verification is None and not absent.whole
    assert "not readable" in str({fact.label: fact.value for fact in completeness_section(absent).facts}["Audit log"])


def test_an_empty_table_over_a_gap_says_that_it_proves_nothing() -> None:
    section = Section(key="s", title="S", tables=(EMPTY, replace(EMPTY, rows=(("x",),))))
    whole = examine_completeness(sources())
    assert with_caveat((section,), whole) == (section,)
    first, second = with_caveat((section,), limited(whole, "a reason"))[0].tables
    assert first.empty.endswith("That does not mean there was none: the picture is not complete.")
    assert second.empty == EMPTY.empty

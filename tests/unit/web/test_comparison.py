"""Two windows compared: nothing is called new that may only have gone unseen."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from ringfence.model.flow import FlowBatch
from ringfence.model.gap import Gap, GapCause
from ringfence.store.state import HostStatus
from tests.support.estate import NOW, flow_row, flow_table
from tests.support.site import Site
from web.bar import Bar
from web.comparison import Comparison, Watched, compare
from web.window import preset_window

DAY = timedelta(days=1)
EVERYTHING = Bar(text="")


def days(site: Site) -> Comparison:
    today = preset_window("24h", ZoneInfo("UTC"), NOW)
    return compare(site.state, site.flows, today, today.before, EVERYTHING)


def seen(site: Site, number: int, ago: timedelta, **changes: object) -> None:
    at = NOW - ago
    row = flow_row(number, started=at, last_seen=at, ended=at, end_reason="closed", **changes)
    site.flows.append(FlowBatch(id=str(number), host="h1", flows=flow_table(row)))


def heard(site: Site, ago: timedelta, host: str = "h1") -> None:
    site.state.hosts.report(HostStatus(host=host, at=NOW - ago, facts={}))


def test_before_a_host_was_heard_nothing_is_new(site: Site) -> None:
    heard(site, DAY / 2)
    seen(site, 1, DAY / 2)
    found = days(site)
    assert found.watched is Watched.NO
    assert [edge.change for edge in found.edges] == [""]
    assert not found.sure
    assert len(found.unrecorded) == 1


def test_an_imported_capture_is_no_watch(site: Site) -> None:
    seen(site, 1, DAY / 2)
    seen(site, 2, 90 * DAY, origin="pcap")
    assert days(site).watched is Watched.NO


def test_what_began_to_be_watched_in_the_earlier_window_is_said(site: Site) -> None:
    heard(site, DAY * 1.5)
    seen(site, 1, DAY / 2, dst_name="other", dst_workload="id-other")
    seen(site, 2, DAY * 1.5)
    found = days(site)
    assert found.watched is Watched.PARTLY
    assert sorted(edge.change for edge in found.edges) == ["gone", "new"]
    assert not found.sure


def test_a_host_that_came_later_leaves_the_earlier_window_partly_watched(site: Site) -> None:
    heard(site, 3 * DAY)
    heard(site, DAY / 2, "h2")
    seen(site, 1, 3 * DAY)
    found = days(site)
    assert found.watched is Watched.PARTLY
    assert "h2" in found.unrecorded[0]


def test_what_waits_in_a_spool_may_make_an_edge_look_gone(site: Site) -> None:
    heard(site, 90 * DAY)
    seen(site, 1, DAY / 2)
    assert days(site).sure
    waiting = {"held_up_since": (NOW - DAY / 4).isoformat()}
    site.state.hosts.report(HostStatus(host="h1", at=NOW, facts=waiting))
    found = days(site)
    assert (found.watched, found.sure) == (Watched.PARTLY, False)
    assert "still waits in the spool of h1" in found.unrecorded[0]


@pytest.mark.parametrize(
    ("before", "watched"), [(DAY * 3, Watched.WHOLLY), (DAY * 1.5, Watched.PARTLY), (DAY / 2, Watched.NO)]
)
def test_what_was_deleted_counts_as_not_watched(site: Site, before: timedelta, watched: Watched) -> None:
    heard(site, 90 * DAY)
    site.state.deletions.note(what="flows", before=NOW - before)
    assert days(site).watched is watched


def test_a_watched_and_silent_day_makes_news(site: Site) -> None:
    heard(site, 3 * DAY)
    seen(site, 1, DAY / 2)
    found = days(site)
    assert [edge.dst_name for edge in found.new] == ["db"]
    assert found.sure


def test_gaps_of_both_windows_go_along_once(site: Site) -> None:
    seen(site, 1, 3 * DAY)
    nothing = flow_table()
    for name, start, end in (("both", 30, 12), ("before", 40, 39), ("now", 3, 2), ("older", 60, 59)):
        started, ended = NOW - timedelta(hours=start), NOW - timedelta(hours=end)
        gap = Gap(id=name, host="h1", started=started, ended=ended, cause=GapCause.NOT_RUNNING)
        site.flows.append(FlowBatch(id=name, host="h1", flows=nothing, gaps=(gap,)))
    found = days(site)
    assert sorted(gap.id for gap in found.gaps) == ["before", "both", "now"]
    assert not found.sure

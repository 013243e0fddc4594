"""Two windows compared: nothing is called new that may only have gone unseen."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from ringfence.model.flow import FlowBatch
from ringfence.model.gap import Gap, GapCause
from tests.support.estate import NOW, flow_row, flow_table
from tests.support.site import Site
from web.bar import Bar
from web.comparison import Comparison, Watched, compare
from web.window import preset_window

DAY = timedelta(days=1)
EVERYTHING = Bar(text="")


def days(site: Site) -> Comparison:
    today = preset_window("24h", ZoneInfo("UTC"), NOW)
    return compare(site.flows, today, today.before, EVERYTHING)


def seen(site: Site, number: int, ago: timedelta, **changes: object) -> None:
    at = NOW - ago
    row = flow_row(number, started=at, last_seen=at, ended=at, end_reason="closed", **changes)
    site.flows.append(FlowBatch(id=str(number), host="h1", flows=flow_table(row)))


def test_before_the_first_record_nothing_is_new(site: Site) -> None:
    seen(site, 1, DAY / 2)
    found = days(site)
    assert found.watched is Watched.NO
    assert [edge.change for edge in found.edges] == [""]
    assert not found.sure


def test_an_imported_capture_is_no_watch(site: Site) -> None:
    seen(site, 1, DAY / 2)
    seen(site, 2, 90 * DAY, origin="pcap")
    assert days(site).watched is Watched.NO


def test_records_that_begin_in_the_earlier_window_are_said(site: Site) -> None:
    seen(site, 1, DAY / 2, dst_name="other", dst_workload="id-other")
    seen(site, 2, DAY * 1.5)
    found = days(site)
    assert found.watched is Watched.PARTLY
    assert sorted(edge.change for edge in found.edges) == ["gone", "new"]
    assert not found.sure


def test_a_watched_and_silent_day_makes_news(site: Site) -> None:
    seen(site, 1, DAY / 2)
    seen(site, 2, 3 * DAY)
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

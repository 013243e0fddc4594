from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audit.reader import AuditReader
from audit.segments import list_segments
from ringfence.errors import QueryInvalid
from ringfence.model.event import EventAction
from tests.support.audit_events import NOON, event, open_log, small_log


@pytest.fixture
def reader(tmp_path: Path) -> AuditReader:
    return AuditReader(small_log(tmp_path / "audit", 10, segment_bytes=900))


def test_records_come_in_both_orders(reader: AuditReader) -> None:
    assert [record.sequence for record in reader.records()] == list(range(1, 11))
    assert [record.sequence for record in reader.records(newest_first=True)] == list(range(10, 0, -1))


def test_pages_join_to_the_whole_without_gap_or_repetition(reader: AuditReader) -> None:
    seen: list[int] = []
    cursor = None
    for _ in range(20):
        page = reader.page(limit=3, cursor=cursor)
        seen += [record.sequence for record in page.records]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == list(range(10, 0, -1))


def test_a_page_that_ends_exactly_has_no_cursor(reader: AuditReader) -> None:
    assert reader.page(limit=10).cursor is None
    assert reader.page(limit=9).cursor == "2"


def test_paging_goes_on_where_it_was_while_records_are_added(reader: AuditReader) -> None:
    first = reader.page(limit=4)
    small_log(reader.folder, 3)
    second = reader.page(limit=4, cursor=first.cursor)
    assert [record.sequence for record in second.records] == [6, 5, 4, 3]


def test_filters_select_by_actor_action_text_and_time(tmp_path: Path) -> None:
    with open_log(tmp_path / "audit") as log:
        log.append(event(1, actor="anna"))
        log.append(event(2, actor="Änne", target="Web-1", detail={"reason": 'Prüfung "x"'}))
        log.append(event(3, action=EventAction.POLICY_APPLIED, actor="bo"))
        assert [r.sequence for r in log.page(actor="bo").records] == [3]
        assert [r.sequence for r in log.page(action=EventAction.LOGIN).records] == [2, 1]
        assert [r.sequence for r in log.page(text="WEB-1").records] == [2]
        assert [r.sequence for r in log.page(text="prüfung").records] == [2]
        assert [r.sequence for r in log.page(text="äNNE").records] == [2]
        assert [r.sequence for r in log.page(text="policy applied").records] == [3]
        assert [r.sequence for r in log.page(text="sequence").records] == []
        within = log.page(start=NOON + timedelta(seconds=2), end=NOON + timedelta(seconds=3))
        assert [r.sequence for r in within.records] == [2]


def test_bad_questions_are_refused(reader: AuditReader) -> None:
    for cursor in ("x", "-1", "1.5", "9" * 40, "²"):
        with pytest.raises(QueryInvalid):
            reader.page(cursor=cursor)
    with pytest.raises(QueryInvalid):
        reader.page(start=NOON, end=NOON - timedelta(seconds=1))


def test_damaged_lines_are_left_out_and_counted(reader: AuditReader) -> None:
    path = list_segments(reader.folder)[1].path
    path.write_bytes(path.read_bytes().replace(b'"anna"', b'"eve!"', 1))
    page = reader.page()
    assert page.damaged == 1
    assert len(page.records) == 9
    assert len(list(reader.records())) == 9


def test_what_matches_comes_with_a_mark_for_each_damaged_line(reader: AuditReader) -> None:
    path = list_segments(reader.folder)[1].path
    path.write_bytes(path.read_bytes().replace(b'"anna"', b'"eve!"', 1))
    found = list(reader.matching())
    assert found.count(None) == 1 and len(found) == 10
    assert list(reader.matching(actor="nobody")) == [None]


def test_what_matches_is_what_the_pages_show(tmp_path: Path) -> None:
    with open_log(tmp_path / "audit") as log:
        log.append(event(1, actor="anna"))
        log.append(event(2, actor="bo", target="Web-1"))
        asked: tuple[dict[str, Any], ...] = (
            {"actor": "bo"},
            {"text": "WEB-1"},
            {"action": EventAction.POLICY_APPLIED},
            {"start": NOON + timedelta(seconds=2), "end": NOON + timedelta(seconds=3)},
        )
        for question in asked:
            assert list(log.matching(**question)) == list(reversed(log.page(**question).records))


def test_the_head_is_the_last_intact_record(reader: AuditReader) -> None:
    assert reader.head().records == 10
    path = list_segments(reader.folder)[-1].path
    with path.open("ab") as file:
        file.write(b"torn")
    assert reader.head().records == 10


def test_an_absent_log_is_empty_to_a_reader(tmp_path: Path) -> None:
    reader = AuditReader(tmp_path / "absent")
    assert reader.head().records == 0
    assert reader.page().records == ()
    assert not reader.verify().ok

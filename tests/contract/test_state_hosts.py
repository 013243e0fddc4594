"""Hosts over SQLite and a real PostgreSQL: the last word of each, and whether it is in service."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ringfence.store.state import HostStatus, State

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_host_has_its_last_status_only(state: State) -> None:
    statuses = [HostStatus(host=host, at=at, facts={"lag": 1.5}) for host, at in (("b", NOW), ("a", NOW))]
    for status in (replace(statuses[0], at=NOW - SECOND), *statuses):
        state.hosts.report(status)
    assert state.hosts.list() == (
        replace(statuses[1], first_heard=NOW),
        replace(statuses[0], first_heard=NOW - SECOND),
    )


def test_a_retired_host_is_back_when_it_reports(state: State) -> None:
    assert not state.hosts.retire("h", at=NOW, reason="scrapped")
    status = HostStatus(host="h", at=NOW, facts={})
    state.hosts.report(status)
    assert state.hosts.retire("h", at=NOW + SECOND, reason="scrapped")
    stored = replace(status, first_heard=NOW)
    assert state.hosts.list() == (replace(stored, retired=NOW + SECOND, retired_reason="scrapped"),)
    state.hosts.report(replace(status, at=NOW + 2 * SECOND))
    assert state.hosts.list() == (replace(stored, at=NOW + 2 * SECOND),)

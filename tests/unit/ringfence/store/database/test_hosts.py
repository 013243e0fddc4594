from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ringfence.store.database.opening import open_state
from ringfence.store.state import HostStatus


def test_facts_are_plain_json() -> None:
    state = open_state("sqlite://")
    facts = {"lag": 0.5, "drops": 2**40, "versions": ["a", None], "ok": True}
    status = HostStatus(host="h", at=datetime(2026, 1, 1, tzinfo=UTC), facts=facts)
    state.hosts.report(status)
    assert state.hosts.list() == (replace(status, first_heard=status.at),)
    state.close()

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ringfence.store.database.opening import open_state

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_an_earlier_moment_does_not_undo_what_is_known_to_be_deleted() -> None:
    state = open_state("sqlite://")
    state.deletions.note(what="flows", before=NOW)
    state.deletions.note(what="flows", before=NOW - timedelta(days=1))
    assert state.deletions.before("flows") == NOW
    state.close()

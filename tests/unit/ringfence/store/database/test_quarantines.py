from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.store.database.opening import open_state


def test_of_a_quarantine_the_last_state_is_kept() -> None:
    state = open_state("sqlite://")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for step in QuarantineState:
        state.quarantines.save(
            Quarantine(
                id="q",
                workload="w",
                workload_name="web",
                host="h",
                state=step,
                reason="r",
                author="a",
                created=now,
                expires=now + timedelta(hours=1),
            )
        )
        assert bool(state.quarantines.active()) == (step is not QuarantineState.RELEASED)
    assert len(state.quarantines.list()) == 1
    state.close()

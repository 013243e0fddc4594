from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringfence.errors import Conflict
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.store.database.opening import open_state

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = Quarantine(
    id="q",
    workload="w",
    workload_name="web",
    host="h",
    state=QuarantineState.APPLYING,
    reason="r",
    author="a",
    created=NOW,
    expires=NOW + timedelta(hours=1),
)


def test_of_a_quarantine_the_last_state_is_kept() -> None:
    state = open_state("sqlite://")
    state.quarantines.add(ORDER)
    for step in QuarantineState:
        assert state.quarantines.settle(replace(ORDER, state=step))
        assert bool(state.quarantines.active()) == (step is not QuarantineState.RELEASED)
    assert len(state.quarantines.list()) == 1
    state.close()


def test_a_second_order_for_a_workload_is_refused_while_one_is_active() -> None:
    state = open_state("sqlite://")
    state.quarantines.add(ORDER)
    with pytest.raises(Conflict, match="web is in quarantine already"):
        state.quarantines.add(replace(ORDER, id="q2"))
    assert [item.id for item in state.quarantines.list()] == ["q"]
    state.close()

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ringfence.model.enforcement import Enforcement, EnforcementState
from ringfence.store.database.opening import open_state


@pytest.mark.parametrize("step", list(EnforcementState))
def test_every_state_is_read_back(step: EnforcementState) -> None:
    state = open_state("sqlite://")
    saved = Enforcement(workload="w", host="h", state=step, digest="d", since=datetime(2026, 1, 1, tzinfo=UTC))
    state.enforcements.save(saved)
    assert state.enforcements.get("w") == saved
    assert state.enforcements.list() == (saved,)
    state.close()

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ringfence.errors import Conflict
from ringfence.store.database.opening import open_state


def test_a_stale_editor_is_told_what_is_in_force() -> None:
    state = open_state("sqlite://")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    state.policies.apply(text="a", author="ann", reason="", at=at)
    with pytest.raises(Conflict, match="revision 1 is in force"):
        state.policies.apply(text="b", author="bob", reason="", at=at, expected=0)
    assert [revision.revision for revision in state.policies.list()] == [1, 0]
    state.close()

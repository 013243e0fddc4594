from __future__ import annotations

from datetime import UTC, datetime

from ringfence.model.gap import Gap, GapCause


def test_a_gap_claims_no_count_that_nobody_knows() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    gap = Gap(id="g", host="h", started=now, ended=now, cause=GapCause.NOT_RUNNING)
    assert gap.lost is None

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ringfence.model.quarantine import Check, Proof, Quarantine, QuarantineState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("passed", "holds"), [((), False), ((True,), True), ((True, False), False)])
def test_a_proof_holds_when_there_were_checks_and_all_passed(passed: tuple[bool, ...], holds: bool) -> None:
    checks = tuple(Check(name="probe", passed=one, detail="") for one in passed)
    assert Proof(at=NOW, checks=checks).holds is holds


@pytest.mark.parametrize("state", list(QuarantineState))
def test_a_quarantine_is_active_until_it_is_released(state: QuarantineState) -> None:
    quarantine = Quarantine(
        id="q", workload="w", workload_name="web", host="h", state=state, reason="r", author="a", created=NOW,
        expires=NOW,
    )  # fmt: skip
    assert quarantine.active == (state is not QuarantineState.RELEASED)

"""How often is written."""

from __future__ import annotations

from enforcer.pace import FIGHT_PAUSE, FIGHT_REPAIRS, FIGHT_SECONDS, LAST_RETRY, Pace


def test_single_repairs_do_not_wait() -> None:
    pace = Pace()
    for second in range(20):
        pace.repaired(second * FIGHT_SECONDS / 5)
        assert pace.wait(second * FIGHT_SECONDS / 5) == 0.0


def test_a_fight_makes_repairs_rare_and_ends_by_itself() -> None:
    pace = Pace()
    for number in range(FIGHT_REPAIRS):
        pace.repaired(number / 10)
    assert pace.fighting(1.0)
    assert pace.wait(0.9) == FIGHT_PAUSE
    assert pace.wait(0.9 + FIGHT_PAUSE) == 0.0
    assert not pace.fighting(FIGHT_SECONDS + 1)


def test_retries_back_off_to_a_minute_and_success_forgets_them() -> None:
    pace, waits = Pace(), []
    for _ in range(20):
        pace.failed(0.0)
        waits.append(pace.wait(0.0))
    assert waits[:3] == [0.5, 1.0, 2.0]
    assert max(waits) == waits[-1] == LAST_RETRY
    pace.succeeded()
    assert not pace.failing

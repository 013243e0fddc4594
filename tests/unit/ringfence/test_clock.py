from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from ringfence.clock import monotonic_offset_ns, utc_now


def test_the_wall_clock_is_aware_and_in_utc() -> None:
    assert utc_now().tzinfo is UTC
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_offset_turns_boot_time_into_wall_time() -> None:
    wall = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + monotonic_offset_ns()
    assert abs(wall - time.time_ns()) < 60 * 10**9

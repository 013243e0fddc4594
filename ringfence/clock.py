"""The clock as a parameter: code that needs the time is given a `Clock`, tests give a fixed one."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns an aware datetime in UTC."""


def utc_now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)


def monotonic_offset_ns() -> int:
    """Wall clock minus CLOCK_BOOTTIME in nanoseconds: converts kernel boot-relative stamps to wall time."""
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

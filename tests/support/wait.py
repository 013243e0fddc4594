"""Waiting for something to become true, with a claim for the failure message."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def wait_until(claim: str, check: Callable[[], Result], *, seconds: float = 10.0, every: float = 0.05) -> Result:
    """Poll `check()` until it is true and return what it returned; after `seconds`, fail with the claim."""
    end = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {claim}")
        time.sleep(every)

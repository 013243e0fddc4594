"""A service loop: repeats, can be woken, outlives a failing step and says so."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from ringfence import log
from ringfence.service.loop import PATIENCE, Loop


@pytest.fixture
def _logging_to_a_full_disk() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    full = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115 -- closing it fails as well
    log.configure(stream=full)
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    with contextlib.suppress(OSError):
        full.close()


def test_a_step_that_says_more_is_repeated_at_once() -> None:
    calls: list[int] = []
    enough = threading.Event()

    def step() -> bool:
        calls.append(1)
        if len(calls) == 5:
            enough.set()
        return len(calls) < 5

    loop = Loop("many", step, seconds=3600)
    loop.start()
    assert enough.wait(10)
    loop.stop()
    assert len(calls) == 5


def test_waking_ends_the_pause() -> None:
    ran = threading.Semaphore(0)
    loop = Loop("sleeper", ran.release, seconds=3600)  # type: ignore[arg-type]
    loop.start()
    assert ran.acquire(timeout=10)
    loop.wake()
    assert ran.acquire(timeout=10)
    loop.stop()


def test_a_failing_step_is_counted_and_the_loop_goes_on() -> None:
    recovered = threading.Event()
    outcomes = iter([ValueError("first"), ValueError("second"), None])

    def step() -> None:
        outcome = next(outcomes, None)
        if outcome is not None:
            raise outcome
        recovered.set()

    loop = Loop("failing", step, seconds=0.01)
    loop.start()
    assert recovered.wait(10)
    loop.stop()
    assert loop.failures == 0


@pytest.mark.usefixtures("_logging_to_a_full_disk")
def test_a_log_that_cannot_be_written_does_not_end_the_loop() -> None:
    steps = threading.Semaphore(0)

    def step() -> None:
        steps.release()
        raise ValueError("as every time")

    loop = Loop("unheard", step, seconds=0.01)
    loop.start()
    assert all(steps.acquire(timeout=10) for _ in range(3))
    loop.stop()


def test_a_loop_that_finishes_no_step_is_stalled() -> None:
    now = [0.0]
    hold = threading.Event()
    entered = threading.Event()

    def step() -> None:
        entered.set()
        hold.wait(10)

    loop = Loop("stuck", step, seconds=3600, monotonic=lambda: now[0])
    assert loop.stalled is None
    loop.start()
    assert entered.wait(10)
    now[0] = PATIENCE - 1
    assert loop.stalled is None
    now[0] = PATIENCE + 1
    assert loop.stalled == PATIENCE + 1
    hold.set()
    loop.stop()
    assert loop.stalled is None

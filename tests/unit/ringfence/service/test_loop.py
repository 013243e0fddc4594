"""A service loop: repeats, can be woken, outlives a failing step and says so."""

import threading

from ringfence.service.loop import Loop


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

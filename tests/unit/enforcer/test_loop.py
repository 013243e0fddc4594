"""The background thread survives what a step raises."""

from __future__ import annotations

from enforcer.kernel import Watching
from enforcer.loop import Background, Blind
from enforcer.netns import Netns
from ringfence.errors import EnforcementFailed
from tests.support.fake_kernel import FakeWatch
from tests.support.wait import wait_until


def test_a_step_that_raises_is_followed_by_the_next() -> None:
    steps: list[Watching] = []

    def step(watching: Watching, seconds: float) -> None:
        steps.append(watching)
        raise RuntimeError("broken")

    background = Background(step, watch=FakeWatch, seconds=0.01)
    background.start()
    wait_until("it goes on", lambda: len(steps) > 2)
    background.stop()
    assert isinstance(steps[0], FakeWatch)
    assert steps[0].closed


def test_without_a_watch_it_goes_on_blind() -> None:
    seen: list[Watching] = []

    def nothing() -> FakeWatch:
        raise EnforcementFailed("iptables is not installed")

    background = Background(lambda watching, seconds: seen.append(watching), watch=nothing, seconds=0.01)
    background.start()
    wait_until("it steps", lambda: seen)
    background.stop()
    assert isinstance(seen[0], Blind)


def test_a_blind_watch_suspects_everything_and_can_be_woken() -> None:
    blind = Blind()
    blind.wake()
    assert blind.wait([Netns(inode=3, path="")], 60.0) == {3: 60.0}


def test_stopping_what_never_started_is_no_error() -> None:
    Background(lambda watching, seconds: None, watch=FakeWatch, seconds=1.0).stop()

"""What the doctor says, for pages that cannot wait."""

from __future__ import annotations

import threading

import pytest

from ringfence.doctor import Check, CheckState
from ringfence.service.examination import FRESH_SECONDS, OLD_SECONDS, Examination
from tests.support.wait import wait_until


class Host:
    """Examined when `may` is set; each time something else is found."""

    def __init__(self) -> None:
        self.now, self.times = 0.0, 0
        self.may = threading.Event()
        self.may.set()

    def examine(self) -> list[Check]:
        assert self.may.wait(10)
        self.times += 1
        return [Check(group="host", name=str(self.times), state=CheckState.OK, detail="")]


def told(made: Examination) -> str:
    return made.found()[0].name


def test_only_who_asks_first_or_long_after_waits_for_the_doctor() -> None:
    host = Host()
    made = Examination(host.examine, clock=lambda: host.now)
    assert (told(made), told(made), host.times) == ("1", "1", 1)
    host.now += FRESH_SECONDS + 1
    host.may.clear()
    assert told(made) == "1", "the next examination has begun and nobody waits for it"
    host.may.set()
    wait_until("it is done", lambda: told(made) == "2")
    host.now += OLD_SECONDS + 1
    assert told(made) == "3", "what was found long ago is not told"


def test_an_examination_that_fails_says_so_and_is_tried_again() -> None:
    now = [0.0]
    answers = iter([OSError("no /proc"), None])

    def examine() -> list[Check]:
        if error := next(answers):
            raise error
        return []

    made = Examination(examine, clock=lambda: now[0])
    with pytest.raises(OSError, match="no /proc"):
        made.found()
    now[0] += OLD_SECONDS + 1
    assert made.found() == []

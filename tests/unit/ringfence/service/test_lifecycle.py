"""Parts start in order and stop in reverse, even when one of them fails."""

import pytest

from ringfence.service.lifecycle import Lifecycle, Part


def _parts(log: list[str], *, fail_start: str = "", fail_stop: str = "") -> list[Part]:
    def part(name: str) -> Part:
        def start() -> None:
            if name == fail_start:
                raise RuntimeError(name)
            log.append(f"+{name}")

        def stop() -> None:
            log.append(f"-{name}")
            if name == fail_stop:
                raise RuntimeError(name)

        return Part(name=name, start=start, stop=stop)

    return [part(name) for name in ("a", "b", "c")]


def test_parts_stop_in_reverse_order() -> None:
    log: list[str] = []
    lifecycle = Lifecycle(_parts(log))
    lifecycle.start()
    lifecycle.stop()
    lifecycle.stop()
    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]


def test_a_part_that_cannot_start_stops_those_before_it() -> None:
    log: list[str] = []
    with pytest.raises(RuntimeError, match="c"):
        Lifecycle(_parts(log, fail_start="c")).start()
    assert log == ["+a", "+b", "-b", "-a"]


def test_a_part_that_cannot_stop_does_not_keep_the_others() -> None:
    log: list[str] = []
    lifecycle = Lifecycle(_parts(log, fail_stop="b"))
    lifecycle.start()
    lifecycle.stop()
    assert log[3:] == ["-c", "-b", "-a"]

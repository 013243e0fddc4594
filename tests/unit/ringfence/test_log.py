from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from ringfence import metrics
from ringfence.errors import StoreUnavailable
from ringfence.log import Outlet, configure, logger, note_failure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_are_json_where_nobody_watches() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    logger("collector").info("batch stored", flows=3)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["component"], line["flows"], line["level"]) == ("batch stored", "collector", 3, "info")
    assert line["timestamp"].endswith("Z")


def test_lines_are_for_people_on_a_terminal_unless_json_is_asked_for() -> None:
    stream = Terminal()
    configure(stream=stream)
    logger("web").warning("slow")
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream.getvalue())
    forced = Terminal()
    configure(stream=forced, as_json=True)
    logger("web").warning("slow")
    assert json.loads(forced.getvalue())["event"] == "slow"


def test_lines_below_the_level_are_dropped() -> None:
    stream = io.StringIO()
    configure(level="warning", stream=stream)
    logger("web").info("quiet")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("error", [StoreUnavailable("the store is away"), OSError(28, "the disk is full")])
def test_a_failure_that_has_words_is_told_in_them(error: Exception) -> None:
    line = _noted(error)
    assert (line["error"], line["level"], line["loop"]) == (str(error), "warning", "watch")
    assert "exception" not in line


def test_a_failure_that_nobody_foresaw_comes_with_its_trace() -> None:
    line = _noted(KeyError("x"))
    assert line["level"] == "error"
    assert "Traceback" in line["exception"]


def _noted(error: Exception) -> dict[str, Any]:
    stream = io.StringIO()
    configure(stream=stream)
    try:
        raise error
    except Exception:  # noqa: BLE001 -- whatever the test gives
        note_failure(logger("x"), "step failed", loop="watch")
    found: dict[str, Any] = json.loads(stream.getvalue())
    return found


def test_an_exception_is_part_of_its_line() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logger("web").error("failed", exc_info=True)
    assert "ValueError: broken" in json.loads(stream.getvalue())["exception"]


def test_a_logger_made_before_configure_follows_it() -> None:
    early = logger("early")
    stream = io.StringIO()
    configure(stream=stream)
    early.warning("late")
    assert json.loads(stream.getvalue())["component"] == "early"


class Broken(io.StringIO):
    """A pipe whose reader went away, a full disk."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_line_that_cannot_be_written_is_counted_and_raises_nothing() -> None:
    before = metrics.LOG_LINES_LOST._value.get()
    configure(stream=Broken())
    logger("web").warning("unheard")
    logging.getLogger("library").warning("unheard as well")
    assert metrics.LOG_LINES_LOST._value.get() == before + 2


def test_a_closed_stream_raises_nothing() -> None:
    stream = io.StringIO()
    outlet = Outlet(stream)
    stream.close()
    outlet.write("x")
    outlet.flush()

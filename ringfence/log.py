"""Logging: structlog, lower-case events with key=value; human-readable on a terminal, JSON otherwise."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

from ringfence import metrics
from ringfence.errors import RingfenceError

QUIET = ("elastic_transport",)
"""Libraries whose warnings repeat, with a trace each, what we say once in a sentence."""


class Outlet:
    """A stream whose failures are counted and never raised: a full disk or a reader that went away ends no thread.

    Log lines are often written where an exception is being handled; one of their own would undo that.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write and flush at once, so that a line which cannot be written is counted once."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # a closed stream is a ValueError
            metrics.LOG_LINES_LOST.inc()
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


def configure(*, level: str = "info", as_json: bool | None = None, stream: TextIO | None = None) -> None:
    """Set up logging for the process; `as_json` None decides by whether `stream` (stderr) is a terminal."""
    stream = stream or sys.stderr
    as_json = not stream.isatty() if as_json is None else as_json
    outlet: Any = Outlet(stream)
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(outlet),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=outlet, level=logging.WARNING, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def logger(component: str) -> Any:
    """A logger that names the component in every line; may be made before `configure`."""
    return structlog.get_logger(component=component)


def note_failure(log: Any, event: str, **facts: Any) -> None:
    """Log the exception that is being handled: in its own words where it has some, otherwise with its trace."""
    error = sys.exception()
    if isinstance(error, (RingfenceError, OSError)):
        log.warning(event, error=str(error), **facts)
    else:
        log.exception(event, **facts)

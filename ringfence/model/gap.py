"""Gaps: windows in which records are known to be missing. Loss is a fact that travels with the flows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class GapCause(StrEnum):
    SOCKET_OVERRUN = "socket overrun"
    LOG_OVERRUN = "denied-log overrun"
    NOT_RUNNING = "collector not running"
    SPOOL_FULL = "spool full"
    UNREADABLE = "unreadable messages"
    NOT_CAPTURED = "connections not captured"
    NAMESPACE = "namespace not observed"
    IMPORT = "capture incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """`lost` is the exact count of missing records where the kernel gives it, None where nobody can know."""

    id: str
    host: str
    started: datetime
    ended: datetime
    cause: GapCause
    lost: int | None = None
    detail: str = ""

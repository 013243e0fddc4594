"""One thing that was looked at, what was seen, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """`UNKNOWN`: it could not be looked at here; that is neither good nor bad."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`detail` is a sentence of what was seen, `hint` what to do; empty when there is nothing to do."""

    group: str
    name: str
    state: CheckState
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Makes the checks of one group."""

    name: str

    def ok(self, name: str, detail: str) -> Check:
        return Check(group=self.name, name=name, state=CheckState.OK, detail=detail)

    def warn(self, name: str, detail: str, hint: str) -> Check:
        return Check(group=self.name, name=name, state=CheckState.WARN, detail=detail, hint=hint)

    def fail(self, name: str, detail: str, hint: str) -> Check:
        return Check(group=self.name, name=name, state=CheckState.FAIL, detail=detail, hint=hint)

    def unknown(self, name: str, detail: str, hint: str = "") -> Check:
        return Check(group=self.name, name=name, state=CheckState.UNKNOWN, detail=detail, hint=hint)

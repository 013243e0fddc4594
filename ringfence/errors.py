"""The named errors that cross package boundaries, each because a caller acts differently on it."""

from __future__ import annotations

from collections.abc import Sequence

from ringfence.model.policy import Problem


class RingfenceError(Exception):
    """Anything a person can be told in one sentence. `hint` is what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(RingfenceError):
    """A setting is unknown or has an impossible value."""


class PolicyInvalid(RingfenceError):
    """A policy was refused whole; `problems` lists everything wrong with it, in order of line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = len(self.problems)
        super().__init__(f"the policy has {count} problem{'s' if count != 1 else ''}")


class FilterInvalid(RingfenceError):
    """A filter cannot be read. `offset` is the character, `expected` what could have stood there."""

    def __init__(self, message: str, *, offset: int, expected: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.offset = offset
        self.expected = tuple(expected)


class QueryInvalid(RingfenceError):
    """A question that no store can answer: an unknown column, a broken cursor, an impossible bucket."""


class StoreUnavailable(RingfenceError):
    """The store did not answer; the caller keeps what it has and tries again."""


class StoreAway(StoreUnavailable):
    """Nobody answers for now; as things stand somebody may later, without a setting being changed."""


class StoreLocked(RingfenceError):
    """Another process owns the data folder."""


class EnforcementFailed(RingfenceError):
    """The kernel refused a change; the former rules are still in force."""


class Conflict(RingfenceError):
    """Somebody else changed the object meanwhile; nothing was changed."""


class NotPermitted(RingfenceError):
    """This host or this user may not do that."""


class NotFound(RingfenceError):
    """No such object."""


class AuditUnavailable(RingfenceError):
    """The audit log cannot be written, so changes by people are refused."""

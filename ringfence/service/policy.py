"""The policy in force: the newest revision in the state store, parsed once and kept until a newer one is applied.

A revision that cannot be read (written by a newer version) leaves the last good one in force. After a restart there is
none: an older revision would bring back what somebody took away, and no revision would open everything.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from policy_engine.judge import Judge
from policy_engine.parse import parse_policy
from ringfence.errors import PolicyInvalid
from ringfence.log import logger
from ringfence.model.policy import PolicySet
from ringfence.store.state import PolicyHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A revision with what was made of it."""

    revision: int
    policies: PolicySet
    judge: Judge


KEPT = "the rules of before stay in the kernel, and workloads that start from now on get none"


class PolicyInForce:
    """Thread-safe."""

    def __init__(self, history: PolicyHistory) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._log = logger("policy")
        self._refused: tuple[int, str] | None = None
        self._nothing = _make(0, PolicySet())
        self._current: InForce | None = None
        self.refresh()

    @property
    def current(self) -> InForce:
        """What flows are judged by; where nothing is known that is no policy at all, as before the first revision."""
        return self._current or self._nothing

    @property
    def known(self) -> bool:
        """False while no revision could be read: nobody can say what the kernel should hold instead of what it does."""
        return self._current is not None

    @property
    def refusal(self) -> str:
        """Which revision is refused, why, and what holds meanwhile; empty when the newest one is in force."""
        current, refused = self._current, self._refused
        if refused is None:
            return ""
        holds = KEPT if current is None else f"revision {current.revision} stays in force"
        return f"policy revision {refused[0]} is refused ({refused[1]}): {holds}"

    def refresh(self) -> bool:
        """Look for a newer revision; True when another one is in force now."""
        with self._lock:
            latest = self._history.current()
            if self._seen(latest.revision):
                return False
            try:
                policies = parse_policy(latest.text) if latest.text.strip() else PolicySet()
            except PolicyInvalid as error:
                self._refused = latest.revision, _words(error)
                self._log.error("policy revision refused", revision=latest.revision, problems=len(error.problems))
                return False
            self._current, self._refused = _make(latest.revision, policies), None
            return True

    def _seen(self, revision: int) -> bool:
        """The newest revision was looked at already."""
        if self._refused is not None:
            return revision == self._refused[0]
        return self._current is not None and revision == self._current.revision


def _words(error: PolicyInvalid) -> str:
    first, *others = error.problems
    return f"{first}; and {len(others)} more" if others else str(first)


def _make(revision: int, policies: PolicySet) -> InForce:
    return InForce(revision=revision, policies=policies, judge=Judge(policies, revision))

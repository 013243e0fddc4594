"""The policy in force: the newest revision in the state store, parsed once and kept until a newer one is applied."""

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


class PolicyInForce:
    """Thread-safe. A revision that cannot be parsed (written by a newer version) leaves the last good one in force."""

    def __init__(self, history: PolicyHistory) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._log = logger("policy")
        self._refused = -1
        self._current = _make(0, PolicySet())
        self.refresh()

    @property
    def current(self) -> InForce:
        return self._current

    def refresh(self) -> bool:
        """Look for a newer revision; True when another one is in force now."""
        with self._lock:
            latest = self._history.current()
            if latest.revision in (self._current.revision, self._refused):
                return False
            try:
                policies = parse_policy(latest.text) if latest.text.strip() else PolicySet()
            except PolicyInvalid as error:
                self._refused = latest.revision
                self._log.error("policy revision refused", revision=latest.revision, problems=len(error.problems))
                return False
            self._current = _make(latest.revision, policies)
            return True


def _make(revision: int, policies: PolicySet) -> InForce:
    return InForce(revision=revision, policies=policies, judge=Judge(policies, revision))

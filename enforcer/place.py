"""One namespace that the enforcer keeps as planned: reads, compares, writes the difference, reads back."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from enforcer.change import Texts, chain_holds, plan_change, texts_of
from enforcer.kernel import Kernel
from enforcer.names import IN
from enforcer.netns import NamespaceGone, Netns
from enforcer.observed import Observed
from enforcer.pace import Pace
from enforcer.plan import Plan
from enforcer.wire import Sealed
from ringfence.errors import EnforcementFailed

ATTEMPTS = 3
"""A write is read back; when somebody changed it in between it is written again, so many times at once."""

VERIFY_SECONDS = 30.0
"""However quiet it is, a namespace is read whole this often."""
SEALED_SECONDS = 2.0
"""The same while its interfaces are sealed: nothing tells of changes at their outer ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The namespace holds the plan. `drift` says what somebody had changed since the last time it did."""

    observed: Observed
    wrote: bool
    seconds: float
    """How long reading, writing and reading back took."""
    drift: tuple[str, ...] = ()
    sealed: Sealed | None = None
    """How the outer ends of its interfaces are, when the plan seals them or they could not be opened."""


class Place:
    """Methods may be called from any thread; one at a time works on the namespace."""

    def __init__(self, netns: Netns, kernel: Kernel) -> None:
        self.netns = netns
        self.pace = Pace()
        self.lock = threading.RLock()
        self.held: Plan | None = None
        """The plan that was last seen to hold; None: not yet in this process."""
        self.wanted: Plan | None = None
        """The plan that was last tried."""
        self.unjudged: set[str] = set()
        """Chains that judge what comes in and stand here for the first time: they have not seen older connections."""
        self.settled_at = 0.0
        """When the plan was last seen to hold, on the caller's clock."""
        self._suspected: float | None = None
        self._open = False
        """Whether the outer ends of its interfaces are known to be without filters of ours."""
        self._kernel = kernel
        self._written: Texts = {}

    def suspect(self, since: float) -> None:
        """Something may have been changed here since then; remembered until the next time it is seen to hold."""
        self._suspected = since if self._suspected is None else min(since, self._suspected)

    def due(self, plan: Plan, now: float) -> bool:
        """Whether it should be looked at: suspected, failing, wanted otherwise, or not seen for a while."""
        return (
            self._suspected is not None
            or self.pace.failing
            or plan != self.held
            or now - self.settled_at >= (VERIFY_SECONDS if plan.seal is None else SEALED_SECONDS)
        )

    def seen(self, now: float) -> float:
        """The plan was seen to hold at `now`; returns for how many seconds it was suspected not to."""
        since = now if self._suspected is None else self._suspected
        self._suspected, self.settled_at = None, now
        return now - since

    def settle(self, plan: Plan) -> Settled:
        """Make the namespace hold `plan`; writes nothing when it does already.

        Raises:
            NamespaceGone: it has ended.
            EnforcementFailed: it could not be written, or does not stay; the former rules are in force.
        """
        with self.lock:
            self.wanted = plan
            start = time.monotonic()
            drift: tuple[str, ...] = ()
            last: tuple[str, ...] = ()
            first: frozenset[str] = frozenset()
            for attempt in range(ATTEMPTS + 1):
                observed = self._read(plan)
                if attempt == 0:
                    first = _first_time(plan, observed, self.held)
                change = plan_change(plan, observed, self._written)
                if change.empty:
                    sealed = self._seal(plan)
                    if sealed is not None and plan == self.held:
                        drift += sealed.changed
                    self._written, self.held = texts_of(observed), plan
                    self.unjudged = (self.unjudged | first) & self._judging(plan)
                    seconds = time.monotonic() - start
                    return Settled(observed=observed, wrote=attempt > 0, seconds=seconds, drift=drift, sealed=sealed)
                if attempt == 0 and plan == self.held:
                    drift = change.differences
                last = change.differences
                if attempt < ATTEMPTS:
                    self._kernel.write(self.netns, change)
                    self._forget(plan, observed)
            raise EnforcementFailed(f"the rules do not stay as written: {'; '.join(last[:5])}")

    def _read(self, plan: Plan) -> Observed:
        """What stands in the namespace. Where that cannot be read, the outer end of its link is sealed all the same."""
        try:
            return self._kernel.read(self.netns)
        except NamespaceGone:
            raise
        except EnforcementFailed:
            if plan.seal is not None:
                self._seal(plan)
            raise

    def _seal(self, plan: Plan) -> Sealed | None:
        """What is at the outer ends is looked at only when it matters: wanted, left from before, or not known yet."""
        if plan.seal is None and (self._open or self.netns.shared):
            return None
        release = plan.seal is None and self.held is not None and self.held.seal is not None
        self._open = False
        try:
            sealed = self._kernel.seal(self.netns, plan.seal)
        except NamespaceGone:
            raise
        except EnforcementFailed as error:
            if release:
                raise
            return Sealed(problem=str(error))
        self._open = plan.seal is None
        return sealed if plan.seal is not None else None

    def _judging(self, plan: Plan) -> frozenset[str]:
        """In a shared namespace each workload has a chain of its own; the one that leads there judges nobody."""
        names = frozenset(name for table in plan.tables.values() for name in table.chains)
        return frozenset(name for name in names if name.endswith("-I")) if self.netns.shared else names & {IN}

    def _forget(self, plan: Plan, observed: Observed) -> None:
        """Chains that were just written have a text of their own again; what was right keeps its remembered text."""
        self._written = {
            (family, chain): text
            for (family, chain), text in self._written.items()
            if chain in plan.tables[family].chains
            and chain_holds(family, chain, plan.tables[family], observed, self._written)
        }


def _first_time(plan: Plan, observed: Observed, held: Plan | None) -> frozenset[str]:
    """Chains that are neither there nor were held before; those that somebody removed have judged already."""
    known = {name for _, name in observed.chains}
    known |= {name for table in held.tables.values() for name in table.chains} if held is not None else set()
    return frozenset(name for table in plan.tables.values() for name in table.chains) - known

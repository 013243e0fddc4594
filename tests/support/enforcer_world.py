"""An enforcer over a kernel that executes what it is sent, with a clock that a test moves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from enforcer.names import IN, Family
from enforcer.reconcile import Enforcer
from ringfence.config import Enforce
from ringfence.model.enforcement import Drift, Enforcement, EnforcementState
from ringfence.model.quarantine import Quarantine
from ringfence.model.ruleset import Ruleset
from ringfence.model.workload import Workload
from tests.support.fake_kernel import FakeKernel
from tests.support.rulesets import DENY_ALL, START, rule, ruleset, service, workload

POLICY = ruleset([rule(16, True, None, service(6, 80)), DENY_ALL])
OWN = 999


class World:
    """An enforcer over a fake kernel with one workload, and a clock that a test moves."""

    def __init__(self, settings: Enforce | None = None) -> None:
        self.kernel, self.seconds = FakeKernel(), 0.0
        self.gone: set[str] = set()
        """Cgroup paths that have no folder (any more)."""
        self.netns = self.kernel.add(1)
        self.reported: list[Enforcement | Drift | Quarantine] = []
        self.enforcer = self.restarted(settings)
        self.target = workload(self.netns)

    def restarted(self, settings: Enforce | None = None) -> Enforcer:
        return Enforcer(
            settings or Enforce(),
            host="h",
            clock=self.now,
            kernel=self.kernel,
            report=self.reported.append,
            monotonic=lambda: self.seconds,
            own_inode=OWN,
            cgroups=lambda path: "" if path in self.gone else f"/fake/{path}",
        )

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def desire(self, *workloads: Workload, wanted: Ruleset = POLICY) -> None:
        items = workloads or (self.target,)
        self.enforcer.desire(items, {item.id: wanted for item in items})
        self.enforcer.reconcile()

    def break_rules(self) -> None:
        self.kernel.namespaces[1].tables[Family.IPV4][IN] = []

    def all(self, kind: type) -> list[object]:
        return [item for item in self.reported if isinstance(item, kind)]

    def only(self, kind: type) -> Any:
        (item,) = self.all(kind)
        return item

    @property
    def quarantines(self) -> list[Any]:
        """The quarantines that were told in the background."""
        return self.all(Quarantine)

    @property
    def statuses(self) -> list[Any]:
        """Every status that was told."""
        return self.all(Enforcement)

    @property
    def state(self) -> EnforcementState:
        return self.enforcer.statuses()[0].state

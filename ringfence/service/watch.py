"""The half of the service that faces the kernel: collector and enforcer, and what flows between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from audit.report.completeness import HELD_UP
from collector.host import Collector
from enforcer.kernel import SystemKernel
from enforcer.reconcile import Enforcer
from policy_engine.selector import SelectorInvalid, compile_selector
from ringfence import metrics
from ringfence.clock import utc_now
from ringfence.config import Config, docker_endpoints
from ringfence.doctor.host import Host
from ringfence.errors import ConfigError, StoreAway
from ringfence.log import logger
from ringfence.model.enforcement import Drift, Enforcement
from ringfence.model.policy import Selector
from ringfence.model.quarantine import Quarantine
from ringfence.model.verdict import RuleRef
from ringfence.model.workload import Workload
from ringfence.service.accounting import Accounting
from ringfence.service.containment import Containment
from ringfence.service.endings import Endings
from ringfence.service.enforcing import Enforcing
from ringfence.service.feed import Feed
from ringfence.service.imports import imports_of
from ringfence.service.lifecycle import Part
from ringfence.service.limits import enforcement_limits, reporting_limits
from ringfence.service.loop import PATIENCE, Loop
from ringfence.service.policy import PolicyInForce
from ringfence.service.reported import Report, Reported
from ringfence.service.responding import Responding
from ringfence.service.shipping import Shipping
from ringfence.service.violations import Violations
from ringfence.store.flows import FlowStore
from ringfence.store.state import HostStatus, State


class Watch:
    """Builds and connects the parts that watch and enforce on this kernel."""

    def __init__(
        self,
        *,
        config: Config,
        state: State,
        flows: FlowStore,
        policy: PolicyInForce,
        accounting: Accounting,
        feed: Feed,
        machine: Host | None = None,
    ) -> None:
        self._config = config
        self._machine = machine or Host()
        self._state = state
        self._feed = feed
        self._policy = policy
        self._rollout: dict[str, int] | None = None
        self._reported = Reported(self._take_report)
        self._reported_loop = Loop("reported", self._reported.step, seconds=1.0)
        self._reported.wake = self._reported_loop.wake
        self.enforcer = Enforcer(
            config.enforce,
            host=config.host,
            clock=utc_now,
            kernel=SystemKernel(config.enforce),
            report=self._reported.put,
        )
        self._flows = flows
        open_flows = self._open_flows()
        self.collector = self._make_collector(open_flows)
        self._enforcing = self._make_enforcing(accounting)
        self.collector.inventory.on_change(self._inventory_changed)
        self._endings = Endings(
            workloads=state.workloads,
            runs=lambda: self.collector.inventory.snapshot().known,
            hosts=self.collector.complete_hosts,
            clock=utc_now,
        )
        self._containment = self._make_containment(accounting)
        self.containment_loop = Loop("containment", self._containment.step, seconds=1.0)
        self._containment.wake = self.containment_loop.wake
        self.enforcing_loop = Loop("enforcing", self._enforcing.step, seconds=1.0)
        self._shipping = self._make_shipping(open_flows, accounting)
        shipping_loop = Loop("shipping", self._shipping.step, seconds=0.2)
        heartbeat_loop = Loop("heartbeat", self._heartbeat, seconds=2.0)
        self.loops = (self._reported_loop, self.enforcing_loop, self.containment_loop, shipping_loop, heartbeat_loop)

    def _open_flows(self) -> pa.Table | None:
        """None while the flow store is away: rules are kept without it, and capturing begins when it is back."""
        try:
            return self._flows.open_flows(self._config.host)
        except StoreAway as error:
            logger("watch").warning("nothing is captured before the flow store answers", error=str(error))
            return None

    def _begin_capture(self) -> list[str]:
        """The ids of the flows that were open when the former run ended."""
        open_flows = self._flows.open_flows(self._config.host)
        self.collector.capture(open_flows)
        return _ids(open_flows)

    def _make_collector(self, open_flows: pa.Table | None) -> Collector:
        return Collector(
            self._config,
            host=self._config.host,
            data_dir=self._config.general.data_dir,
            clock=utc_now,
            rule_names=self._rule_name,
            slots=self.enforcer.slots,
            on_workloads=self._keep_workloads,
            resume=open_flows,
        )

    def _make_enforcing(self, accounting: Accounting) -> Enforcing:
        return Enforcing(
            policy=self._policy,
            state=self._state,
            sink=self.enforcer,
            workloads=self.collector.workloads,
            held=self.collector.held,
            machines=self.collector.inventory.machines,
            account=accounting.account,
            clock=utc_now,
            settled=self.collector.settled,
        )

    def _make_containment(self, accounting: Accounting) -> Containment:
        return Containment(
            quarantines=self._state.quarantines,
            isolator=self.enforcer,
            hosts=self._hosts,
            complete=self.collector.complete_hosts,
            find=self._find,
            account=accounting.account,
            changed=self._quarantine_changed,
            clock=utc_now,
        )

    def _make_shipping(self, open_flows: pa.Table | None, accounting: Accounting) -> Shipping:
        responding = Responding(
            policy=self._policy,
            quarantines=self._state.quarantines,
            findings=self._state.findings,
            find=self._find,
            known=self._state.workloads.get,
            account=accounting.account,
            wake=self.containment_loop.wake,
            clock=utc_now,
            protected=_protected(self._config),
        )
        return Shipping(
            sources=(self.collector.spool, imports_of(self._config)),
            policy=self._policy,
            flows=self._flows,
            findings=self._state.findings,
            respond=responding.observe,
            account=accounting.account,
            feed=self._feed,
            clock=utc_now,
            violations=Violations(_ids(open_flows) if open_flows is not None else ()),
            begin=self._begin_capture if open_flows is None else None,
        )

    def parts(self) -> list[Part]:
        """In the order of starting: quarantines are restored before anything else is enforced."""
        return [
            Part(name="restore", start=self._restore),
            Part(name="enforcer", start=self.enforcer.start, stop=self.enforcer.stop),
            Part(name="orders", stop=self._containment.stop),
            *(Part(name=loop.name, start=loop.start, stop=loop.stop) for loop in self.loops),
            Part(name="collector", start=self.collector.start, stop=self.collector.stop),
        ]

    def limits(self) -> tuple[str, ...]:
        """What this process cannot do on this host, in words; empty when all works."""
        return (
            *self.collector.status()["limits"],
            *enforcement_limits(self._config.enforce, self._machine),
            *((self._policy.refusal,) if self._policy.refusal else ()),
            *reporting_limits(self._reported.dropped),
            *((f"flows wait in the spool: {self._shipping.problem}",) if self._shipping.problem else ()),
            *(f"{name} has stopped: see the log, and restart it" for name in self.stalled()),
        )

    def stalled(self) -> tuple[str, ...]:
        """The loops that do not go on."""
        lag = self.collector.status()["lag_seconds"]
        capturing = ("collector",) if lag is not None and lag > PATIENCE else ()
        return (*capturing, *(loop.name for loop in self.loops if loop.stalled is not None))

    def _restore(self) -> None:
        hosts = self._hosts()
        self.enforcer.restore([item for item in self._state.quarantines.active() if item.host in hosts])

    def _inventory_changed(self) -> None:
        """Not with what is told to the state store: a container that just started waits for no store."""
        self._enforcing.inventory_changed()
        self.enforcing_loop.wake()

    def _keep_workloads(self, workloads: Sequence[Workload]) -> None:
        self._state.workloads.save(workloads)
        self._feed.publish("workload", {"workloads": len(workloads)})

    def _rule_name(self, number: int) -> RuleRef | None:
        return self._enforcing.rule_name(number)

    def _find(self, workload_id: str) -> Workload | None:
        return next((item for item in self.collector.workloads() if item.id == workload_id), None)

    def _hosts(self) -> set[str]:
        """The engines of this kernel by name, also one that does not answer yet: its orders are ours."""
        engines = {name for name, _ in docker_endpoints(self._config)}
        return {self._config.host} | engines | {item.host for item in self.collector.workloads()}

    def _take_report(self, item: Report) -> None:
        if isinstance(item, Enforcement):
            self._enforcing.note_enforcement(item)
            self._feed.publish("enforcement", {"workload": item.workload, "state": item.state.value})
        elif isinstance(item, Drift):
            self._enforcing.note_drift(item)
        else:
            self._containment.take(item)

    def _quarantine_changed(self, quarantine: Quarantine) -> None:
        self._feed.publish(
            "quarantine",
            {"id": quarantine.id, "workload": quarantine.workload, "state": quarantine.state.value},
        )

    def _heartbeat(self) -> None:
        facts: dict[str, Any] = dict(self.collector.status())
        facts["limits"] = list(self.limits())
        facts["store_away"] = self._shipping.store_away
        held_up = self.collector.spool.held_up_since
        facts[HELD_UP] = held_up.isoformat() if held_up is not None else None
        facts["revision"] = self._policy.current.revision
        facts["enforced_revision"] = self._enforcing.in_force
        rollout = self._enforcing.rollout
        facts["rollout"] = rollout.facts() if rollout is not None else None
        self._state.hosts.report(HostStatus(host=self._config.host, at=utc_now(), facts=facts))
        self._feed.publish("host", {"host": self._config.host})
        if facts["rollout"] != self._rollout:
            # Told when it can be read: what the enforcer reported came before the host's word of it.
            self._rollout = facts["rollout"]
            self._feed.publish("enforcement", {"host": self._config.host, "rollout": facts["rollout"]})
        self._count_quarantines(self._state.quarantines.active())
        self._endings.step()

    def _count_quarantines(self, active: Sequence[Quarantine]) -> None:
        metrics.QUARANTINES.clear()
        for quarantine in active:
            metrics.QUARANTINES.labels(state=quarantine.state.value).inc()


def _ids(flows: pa.Table) -> list[str]:
    ids: list[str] = flows.column("flow_id").to_pylist()
    return ids


def _protected(config: Config) -> Selector | None:
    """The workloads that no automation may touch, whatever a policy says."""
    text = config.enforce.protected.strip()
    if not text:
        return None
    try:
        compile_selector(text)
    except SelectorInvalid as error:
        raise ConfigError(f"enforce.protected: {error}", hint=error.hint) from error
    return Selector(text=text)

"""The composition root: builds the parts from the configuration and connects them. The only place that knows all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from celery import Celery

from audit.log import AuditLog
from audit.reader import AuditReader
from collector import sysctl
from enforcer.netns import everywhere
from ringfence import __version__
from ringfence.clock import utc_now
from ringfence.config import Config
from ringfence.doctor import examine
from ringfence.jobs import MEMORY, EmbeddedJobs, create_celery, send_report
from ringfence.lock import HostLock
from ringfence.log import logger
from ringfence.model.event import AuditEvent, EventAction
from ringfence.service.accounting import Accounting
from ringfence.service.examination import Examination
from ringfence.service.feed import Feed
from ringfence.service.lifecycle import Lifecycle, Part
from ringfence.service.lock import DataLock
from ringfence.service.loop import Loop
from ringfence.service.notes import Notes, notes_of
from ringfence.service.orders import Orders
from ringfence.service.policy import PolicyInForce
from ringfence.service.reporting import Reporting
from ringfence.service.watch import Watch
from ringfence.store.flows import FlowStore
from ringfence.store.open import open_flow_store, open_state_store
from ringfence.store.state import ReportRecord, State
from web.app import create_app
from web.changes import FLOWS, TOPICS
from web.serve import Server, serve
from web.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """What one process does."""

    watch: bool
    web: bool
    jobs: bool


UP = Roles(watch=True, web=True, jobs=True)
AGENT = Roles(watch=True, web=False, jobs=False)
SERVER = Roles(watch=False, web=True, jobs=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A built process: `lifecycle` runs it, `limits` says what it cannot do here. `url`: where its dashboard is, once
    it was started; None for a process without one."""

    lifecycle: Lifecycle
    state: State
    limits: Callable[[], tuple[str, ...]]
    url: Callable[[], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What is kept, opened."""

    state: State
    flows: FlowStore
    audit: AuditLog

    def close(self) -> None:
        self.flows.close()
        self.state.close()
        self.audit.close()


def build(config: Config, roles: Roles) -> Instance:
    """Open the stores and connect everything; nothing runs before `lifecycle.start()`.

    Raises:
        RingfenceError: a store cannot be opened, the data folder or the host is taken, a setting is impossible.
    """
    with ExitStack() as opened:
        locks = opened.enter_context(_locked(config, roles))
        stores = _open_stores(config, opened)
        instance = _connect(config, roles, locks, stores)
        opened.pop_all()
    return instance


def _locked(config: Config, roles: Roles) -> ExitStack:
    """The data folder is ours, and the host, where we write rules or settings of connection tracking."""
    with ExitStack() as locks:
        locks.callback(DataLock(config.general.data_dir).release)
        touches = config.capture.enabled or config.enforce.enabled
        if roles.watch and touches and os.geteuid() == 0:
            locks.callback(HostLock().release)
            sysctl.forget(everywhere())
        return locks.pop_all()


def _open_stores(config: Config, opened: ExitStack) -> Stores:
    """Each is closed by `opened` when a later one cannot be opened."""
    state = open_state_store(config)
    opened.callback(state.close)
    flows = open_flow_store(config)
    opened.callback(flows.close)
    audit = AuditLog(config.general.data_dir / "audit", utc_now)
    opened.callback(audit.close)
    return Stores(state=state, flows=flows, audit=audit)


def _connect(config: Config, roles: Roles, locks: ExitStack, stores: Stores) -> Instance:
    feed = Feed()
    policy = PolicyInForce(stores.state.policies)
    accounting = Accounting(stores.audit)
    reporting = _reporting(config, stores, accounting, feed)
    celery = create_celery(config.jobs.broker, reporting)
    watch = (
        Watch(config=config, state=stores.state, flows=stores.flows, policy=policy, accounting=accounting, feed=feed)
        if roles.watch
        else None
    )
    accounting_loop = Loop("accounting", partial(_account_all, accounting, notes_of(config), stores.audit), seconds=5.0)
    parts = [
        Part(name="locks", stop=locks.close),
        Part(name="stores", stop=stores.close),
        _told(accounting, config, roles),
        Part(name=accounting_loop.name, start=accounting_loop.start, stop=accounting_loop.stop),
    ]

    def stalled() -> tuple[str, ...]:
        own = (accounting_loop.name,) if accounting_loop.stalled is not None else ()
        return (*own, *(watch.stalled() if watch is not None else ()))

    server = _web(config, stores, celery, feed, watch, stalled=stalled) if roles.web else None
    if server is not None:
        # First of what can fail: a port in use is found before any rule is written.
        parts.append(Part(name="web", start=server.start, stop=server.stop))
    if roles.jobs and config.jobs.broker == MEMORY:
        jobs = EmbeddedJobs(celery)
        parts.append(Part(name="jobs", start=jobs.start, stop=jobs.stop))
    if watch is not None:
        parts += watch.parts()
    parts.append(Part(name="feed", stop=feed.close))
    return Instance(
        lifecycle=Lifecycle(parts),
        state=stores.state,
        limits=watch.limits if watch is not None else tuple,
        url=(lambda: config.web.url(server.port)) if server is not None else None,
    )


def build_jobs(config: Config) -> tuple[Celery, Callable[[], None]]:
    """The Celery application of a worker, and what closes its stores."""
    state = open_state_store(config)
    flows = open_flow_store(config)
    reporting = Reporting(
        state=state,
        flows=flows,
        audit=AuditReader(config.general.data_dir / "audit"),
        folder=config.general.data_dir / "reports",
        retention=timedelta(days=config.store.retention_days),
        account=_log_event,
        clock=utc_now,
    )

    def close() -> None:
        flows.close()
        state.close()

    return create_celery(config.jobs.broker, reporting), close


def _reporting(config: Config, stores: Stores, accounting: Accounting, feed: Feed) -> Reporting:
    def tell(record: ReportRecord) -> None:
        feed.publish("report", {"id": record.id, "state": record.state})

    return Reporting(
        state=stores.state,
        flows=stores.flows,
        audit=stores.audit,
        folder=config.general.data_dir / "reports",
        retention=timedelta(days=config.store.retention_days),
        account=accounting.account,
        clock=utc_now,
        changed=tell,
    )


def _told(accounting: Accounting, config: Config, roles: Roles) -> Part:
    """The record of the start and, when everything but the stores has ended, of the stop."""

    def tell(action: EventAction) -> None:
        detail = {"version": __version__, "watches": roles.watch, "serves": roles.web}
        accounting.account(
            AuditEvent(at=utc_now(), actor="ringfence", action=action, target=config.host, detail=detail)
        )

    return Part(
        name="account",
        start=partial(tell, EventAction.SERVICE_STARTED),
        stop=partial(tell, EventAction.SERVICE_STOPPED),
    )


def _account_all(accounting: Accounting, notes: Notes, audit: AuditLog) -> None:
    """What waits in memory, then what commands left in the data folder."""
    accounting.flush()
    notes.take_up(audit.append)


def _web(
    config: Config,
    stores: Stores,
    celery: Celery,
    feed: Feed,
    watch: Watch | None,
    *,
    stalled: Callable[[], Sequence[str]],
) -> Server:
    orders = Orders(
        state=stores.state,
        flows=stores.flows,
        audit=stores.audit,
        policy_changed=watch.enforcing_loop.wake if watch else _nothing,
        quarantine_changed=watch.containment_loop.wake if watch else _nothing,
        run_report=partial(send_report, celery),
        clock=utc_now,
    )
    services = Services(
        flows=stores.flows,
        state=stores.state,
        actions=orders,
        audit=stores.audit,
        config=config,
        clock=utc_now,
        status=_Status(config, watch),
        live=feed if watch else None,
        stalled=stalled,
        elsewhere=changed_elsewhere(config),
    )
    return serve(create_app(services), config.web.address, config.web.port)


def changed_elsewhere(config: Config) -> frozenset[str]:
    """The topics that the feed of this process does not tell in full: other hosts write to shared stores, and reports
    of workers end in their processes. Nobody carries news between processes, so pages look at the stores for these."""
    if config.store.state != "sqlite" or config.store.flows != "duckdb":
        return frozenset({*TOPICS, FLOWS})
    return frozenset() if config.jobs.broker == MEMORY else frozenset({"report"})


class _Status:
    """What the health page says of this process."""

    def __init__(self, config: Config, watch: Watch | None) -> None:
        self._watch = watch
        self._examination = Examination(lambda: examine(config))

    def __call__(self) -> Mapping[str, Any]:
        rows = [
            {"name": check.name, "state": check.state.value, "detail": check.detail, "hint": check.hint}
            for check in self._examination.found()
        ]
        limits = self._watch.limits() if self._watch else ()
        return {"version": __version__, "limits": limits, "doctor": rows}


def _log_event(event: AuditEvent) -> None:
    """A worker does not own the audit log, which has one writer; what it does by itself stands in its own log."""
    logger("jobs").info(event.action.value, actor=event.actor, target=event.target, **event.detail)


def _nothing() -> None:
    return None

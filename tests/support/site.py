"""A dashboard over real embedded stores with a made-up estate, for tests of the web and for looking at pages.

with Site(folder, demo=True) as site:
    client = site.client("admin")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from flask import Flask
from flask.testing import FlaskClient

from audit.log import AuditLog
from policy_engine.judge import Judge
from policy_engine.parse import parse_policy
from ringfence.config import load
from ringfence.demo.shop import POLICY
from ringfence.model.enforcement import Enforcement, EnforcementState
from ringfence.model.event import AuditEvent, EventAction
from ringfence.model.finding import Finding, FindingKind, Severity
from ringfence.model.flow import FlowBatch
from ringfence.model.gap import Gap, GapCause
from ringfence.model.quarantine import Check, Proof, Quarantine, QuarantineState
from ringfence.model.workload import Attachment, NetworkKind, Workload, WorkloadKind
from ringfence.service.feed import Feed
from ringfence.service.orders import Orders
from ringfence.service.reporting import Reporting
from ringfence.store.open import open_flow_store, open_state_store
from ringfence.store.state import HostStatus, Role, User
from tests.support.shop_flows import flows
from web.app import create_app
from web.identity import open_session
from web.passwords import make_hash
from web.services import Services

PASSWORD = "correct horse battery"
FRONT, BACK = "shop_frontend", "shop_backend"
MEMBERS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("visitor", (FRONT,), "busybox:1.36"),
    ("web", (FRONT,), "nginx:1.27"),
    ("api", (FRONT, BACK), "shop/api:4.2.0"),
    ("db", (BACK,), "postgres:17"),
    ("cache", (BACK,), "redis:7"),
    ("batch", (BACK,), "shop/batch:4.2.0"),
    ("coupon", (FRONT, BACK), "shop/coupon:1.0.3"),
    ("search", (BACK,), "opensearch:2"),
    ("mail", (BACK,), "shop/mail:2.1"),
    ("metrics", (BACK,), "prom/prometheus:v3"),
    ("admin-panel", (FRONT,), "shop/admin:0.9"),
    ("backup", (BACK,), "shop/backup:1.4"),
)
_PASSWORD_HASH = make_hash(PASSWORD)


def workload(number: int, now: datetime) -> Workload:
    """The container `MEMBERS[number]`, twenty hours old."""
    name, networks, image = MEMBERS[number]
    started = now - timedelta(hours=20)
    return Workload(
        id=f"{number + 1:x}f3a91c7e52d".ljust(64, "0"),
        name=name,
        kind=WorkloadKind.CONTAINER,
        host="shop-1",
        labels={"app": "shop", "role": name},
        image=image,
        project="shop",
        pid=4000 + number,
        netns=4026532000 + number,
        attachments=tuple(
            Attachment(
                network=network,
                kind=NetworkKind.BRIDGE,
                addresses=(
                    ip_address(f"172.{20 + index}.0.{10 + number}"),
                    ip_address(f"fd00:{20 + index}::{10 + number:x}"),
                ),
                interface=f"eth{index}",
                mac=f"02:42:ac:{20 + index:02x}:00:{10 + number:02x}",
                since=started,
            )
            for index, network in enumerate(networks)
        ),
        started=started,
    )


@dataclass
class Site:
    """Stores in `folder`, the application over them, users `viewer`, `operator`, `auditor`, `admin` with `PASSWORD`.

    `enforce` True: a stand-in for the enforcer verifies quarantines and releases at once.
    """

    folder: Path
    demo: bool = False
    enforce: bool = True
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    settings: Mapping[str, Any] = field(default_factory=dict)
    app: Flask = field(init=False)
    services: Services = field(init=False)

    def __enter__(self) -> Self:
        config = load(environment={}, flags={"general.data_dir": str(self.folder), **self.settings})
        self.state, self.flows = open_state_store(config), open_flow_store(config)
        self.audit = AuditLog(self.folder / "audit", self.clock)
        self.feed = Feed()
        self.reporting = Reporting(
            state=self.state,
            flows=self.flows,
            audit=self.audit,
            folder=self.folder / "reports",
            retention=timedelta(days=30),
            account=lambda event: None,
            clock=self.clock,
            changed=lambda record: self.feed.publish("report", {"id": record.id}),
        )
        orders = Orders(
            state=self.state,
            flows=self.flows,
            audit=self.audit,
            policy_changed=lambda: None,
            quarantine_changed=self._contain,
            run_report=self.reporting.make_report,
            clock=self.clock,
        )
        self.services = Services(
            flows=self.flows,
            state=self.state,
            actions=orders,
            audit=self.audit,
            config=config,
            clock=self.clock,
            status=self._status,
            live=self.feed,
        )
        self.app = create_app(self.services)
        for role in Role:
            self.state.users.save(User(name=role.value, role=role, password_hash=_PASSWORD_HASH))
        if self.demo:
            self._fill()
        return self

    def __exit__(self, *_: object) -> None:
        self.feed.close()
        self.audit.close()
        self.flows.close()
        self.state.close()

    def client(self, role: str | None = None) -> FlaskClient:
        """A browser without scripts; signed in when a role is given."""
        client = self.app.test_client()
        user = self.state.users.get(role) if role else None
        if user is not None:
            with client.session_transaction() as session:
                open_session(session, user, self.clock())
        return client

    def post(self, client: FlaskClient, path: str, form: Mapping[str, Any], *, page: str = "/account") -> Any:
        """Send a form with the token of a page that the client may see."""
        return client.post(path, data={**form, "csrf_token": self.token(client, page)})

    def token(self, client: FlaskClient, page: str = "/account") -> str:
        text = client.get(page).text
        return text.split('name="csrf-token" content="')[1].split('"')[0]

    def workloads(self) -> dict[str, Workload]:
        return {item.name: item for item in self.state.workloads.current()}

    def without_administrator(self) -> User:
        """As on the first day; returns who was the administrator."""
        admin = self.state.users.get("admin")
        assert admin is not None
        self.state.users.save(replace(admin, role=Role.VIEWER))
        return admin

    def _status(self) -> Mapping[str, Any]:
        rows = [
            {"name": "root", "state": "ok", "detail": "Running as root.", "hint": ""},
            {"name": "IPv6", "state": "warn", "detail": "IPv6 forwarding is off.", "hint": "sysctl net.ipv6..."},
        ]
        return {"version": "test", "limits": (), "doctor": rows if self.demo else []}

    def _contain(self) -> None:
        """What an enforcer would do, at once."""
        for item in self.state.quarantines.active() if self.enforce else ():
            if item.released is not None:
                self.state.quarantines.settle(replace(item, state=QuarantineState.RELEASED))
            elif item.state is QuarantineState.APPLYING:
                self.state.quarantines.settle(
                    replace(item, state=QuarantineState.VERIFIED, proof=proof(self.clock()), connections_cut=3)
                )
            self.feed.publish("quarantine", {"id": item.id})

    def _fill(self) -> None:
        now = self.clock()
        self.state.workloads.save([workload(number, now) for number in range(len(MEMBERS))])
        revision = self.state.policies.apply(
            text=POLICY, author="ada", reason="first policy, in monitor", at=now - timedelta(hours=6)
        )
        self.state.policies.apply(
            text=POLICY.replace("count: 5", "count: 8"), author="ada", reason="calmer response", at=now
        )
        judged = Judge(parse_policy(POLICY), revision.revision).judge(flows(self.workloads(), now))
        gaps = (
            Gap(
                id="gap-1",
                host="shop-1",
                started=now - timedelta(minutes=47),
                ended=now - timedelta(minutes=45),
                cause=GapCause.SOCKET_OVERRUN,
                lost=1204,
            ),
            Gap(
                id="gap-2",
                host="shop-1",
                started=now - timedelta(hours=9),
                ended=now - timedelta(hours=8, minutes=40),
                cause=GapCause.NOT_RUNNING,
                detail="restarted",
            ),
        )
        self.flows.append(FlowBatch(id="demo", host="shop-1", flows=judged.flows, gaps=gaps))
        for finding in judged.findings:
            self.state.findings.record(finding)
        self.state.findings.record(_drift_finding(now))
        self._fill_proofs(now)
        self.audit.append(
            AuditEvent(at=now, actor="ada", action=EventAction.POLICY_APPLIED, target="policy", detail={"reason": "x"})
        )

    def _fill_proofs(self, now: datetime) -> None:
        known = self.workloads()
        for name, item in known.items():
            self.state.enforcements.save(
                Enforcement(
                    workload=item.id,
                    host=item.host,
                    state=EnforcementState.PARTIAL if name == "mail" else EnforcementState.IN_FORCE,
                    digest="5f2c" * 16,
                    since=now - timedelta(hours=6),
                    verified=now - timedelta(seconds=2),
                    reason="the IPv6 rules could not be written" if name == "mail" else "",
                    checks=(Check(name="rules read back", passed=name != "mail", detail="12 rules, 3 sets"),),
                    drifts=1 if name == "db" else 0,
                    last_drift=now - timedelta(hours=1) if name == "db" else None,
                )
            )
        self.state.quarantines.add(
            Quarantine(
                id="q-coupon",
                workload=known["coupon"].id,
                workload_name="coupon",
                host="shop-1",
                state=QuarantineState.VERIFIED,
                reason="response rule contain-scanners: 8 denied connections to db in 10 s",
                author="ringfence",
                created=now - timedelta(minutes=12),
                expires=now + timedelta(minutes=48),
                proof=proof(now - timedelta(seconds=4)),
                connections_cut=3,
            )
        )
        rollout = {"revision": 2, "workloads": 12, "in force": 11, "partial": 1}
        facts = {"events": 48211, "drops": 1204, "lag_seconds": 0.8, "spool_bytes": 0, "workloads": 12}
        for host in ("shop-1", "shop-2"):
            self.state.hosts.report(HostStatus(host=host, at=now - timedelta(hours=36), facts={}))
        self.state.hosts.report(HostStatus(host="shop-1", at=now, facts=facts | {"rollout": rollout}))
        self.state.hosts.report(HostStatus(host="shop-2", at=now - timedelta(seconds=74), facts={"events": 11}))


def pages(client: FlaskClient, path: str, name: str, *, limit: int, **query: str) -> list[dict[str, Any]]:
    """Every row of a list of the API, page by page; `query` are more parameters."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": limit, **query} | ({"cursor": cursor} if cursor else {})
        body = client.get(path, query_string=asked).get_json()
        assert len(body[name]) <= limit
        rows += body[name]
        cursor = body["cursor"]
    return rows


def proof(at: datetime) -> Proof:
    checks = (("rules read back", "both families, both directions"), ("probe from inside", "3 of 3 packets dropped"))
    return Proof(at=at, checks=tuple(Check(name=name, passed=True, detail=detail) for name, detail in checks))


def _drift_finding(now: datetime) -> Finding:
    return Finding(
        id="f-drift",
        key="drift/db",
        kind=FindingKind.DRIFT,
        severity=Severity.HIGH,
        sentence="Rules of db were changed from outside and put back after 1.4 s.",
        workload_name="db",
        first_seen=now - timedelta(hours=1),
        last_seen=now - timedelta(hours=1),
    )

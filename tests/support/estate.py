"""A small estate for tests of the service: embedded stores in a folder, an audit log, one workload, fixed time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from audit.log import AuditLog
from ringfence.model.flow import FLOW_SCHEMA
from ringfence.model.workload import Attachment, NetworkKind, Workload, WorkloadKind
from ringfence.store.database.opening import open_state
from ringfence.store.duckdb import DuckDBFlowStore
from ringfence.store.flows import FlowStore
from ringfence.store.state import State

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def container(name: str, *, address: str, **labels: str) -> Workload:
    """A running container on host h1 with one address."""
    attachment = Attachment(
        network="shop", kind=NetworkKind.BRIDGE, addresses=(ip_address(address),), interface="eth0", since=NOW
    )
    return Workload(
        id=f"id-{name}",
        name=name,
        kind=WorkloadKind.CONTAINER,
        host="h1",
        labels=labels,
        netns=sum(map(ord, name)),
        attachments=(attachment,),
        started=NOW,
    )


API = container("api", address="10.0.0.2", role="api")
DB = container("db", address="10.0.0.3", role="db")


def flow_row(number: int, **changes: Any) -> dict[str, Any]:
    """One allowed connection api -> db on tcp/5432."""
    row: dict[str, Any] = dict.fromkeys(FLOW_SCHEMA.names)
    row |= {
        "flow_id": f"{number:032x}",
        "host": "h1",
        "reporter": "src+dst",
        "origin": "conntrack",
        "started": NOW,
        "last_seen": NOW,
        "protocol": 6,
        "transport": "tcp",
        "ip_version": 4,
        "src_ip": "10.0.0.2",
        "src_port": 40000 + number,
        "src_workload": API.id,
        "src_name": "api",
        "src_kind": "container",
        "src_labels": ["role=api"],
        "src_method": "netns",
        "dst_ip": "10.0.0.3",
        "dst_port": 5432,
        "dst_workload": DB.id,
        "dst_name": "db",
        "dst_kind": "container",
        "dst_labels": ["role=db"],
        "dst_method": "netns",
        "enforced": "allowed",
        "enforced_basis": "default",
    }
    return row | changes


def flow_table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=FLOW_SCHEMA)


@dataclass
class Estate:
    """Embedded stores in `folder`; closes them on exit."""

    folder: Path
    state: State = field(init=False)
    flows: FlowStore = field(init=False)
    audit: AuditLog = field(init=False)

    def __enter__(self) -> Self:
        self.state = open_state(self.folder / "state.db")
        self.flows = DuckDBFlowStore(self.folder / "flows.duckdb")
        self.audit = AuditLog(self.folder / "audit", lambda: NOW)
        return self

    def __exit__(self, *_: object) -> None:
        self.audit.close()
        self.flows.close()
        self.state.close()

    def actions(self) -> list[str]:
        """What the audit log holds, oldest first, as `actor: action target`."""
        return [f"{item.event.actor}: {item.event.action.value} {item.event.target}" for item in self.audit.records()]

"""Rulesets, workloads and quarantines in few words, for tests of the enforcer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from enforcer.netns import Netns
from ringfence.model.policy import PortInterval, Service
from ringfence.model.quarantine import ControlledAccess, Quarantine, QuarantineState
from ringfence.model.ruleset import AddressSet, Ruleset, RulesetRule
from ringfence.model.verdict import Direction, Mode, RuleRef
from ringfence.model.workload import Workload, WorkloadKind

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def service(protocol: int | None = None, *ports: int | tuple[int, int], **more: Any) -> Service:
    """`service(6, 80, (1000, 2000))`."""
    pairs = [(item, item) if isinstance(item, int) else item for item in ports]
    return Service(protocol=protocol, ports=tuple(PortInterval(first=a, last=b) for a, b in pairs), **more)


def address_set(name: str, *networks: str) -> AddressSet:
    parsed = [ip_network(text) for text in networks]
    return AddressSet(
        name=name,
        ipv4=tuple(item for item in parsed if isinstance(item, IPv4Network)),
        ipv6=tuple(item for item in parsed if isinstance(item, IPv6Network)),
    )


def rule(number: int, allow: bool, peers: str | None = None, what: Service | None = None, **more: Any) -> RulesetRule:
    ref = RuleRef(tier="application", policy="shop", direction=Direction.INGRESS, index=number - 16)
    return RulesetRule(number=number, ref=ref, allow=allow, peers=peers, service=what or Service(), **more)


ALLOW_ALL = rule(2, True)
DENY_ALL = rule(99, False)


def ruleset(
    ingress: Sequence[RulesetRule] = (ALLOW_ALL,),
    egress: Sequence[RulesetRule] = (ALLOW_ALL,),
    sets: Sequence[AddressSet] = (),
    workload: str = "w1",
) -> Ruleset:
    return Ruleset(workload=workload, mode=Mode.PROTECT, ingress=tuple(ingress), egress=tuple(egress), sets=tuple(sets))


def workload(netns: Netns, id: str = "w1", **more: Any) -> Workload:  # noqa: A002 -- the field's name
    values: dict[str, Any] = {"name": id, "kind": WorkloadKind.CONTAINER, "host": "h", "started": START}
    return Workload(id=id, netns=netns.inode, netns_path=netns.path, **(values | more))


def quarantine(target: Workload, *access: ControlledAccess, **more: Any) -> Quarantine:
    made = Quarantine(
        id=f"q-{target.id}",
        workload=target.id,
        workload_name=target.name,
        host=target.host,
        state=QuarantineState.APPLYING,
        reason="scan",
        author="tester",
        created=START,
        expires=START + timedelta(hours=1),
        access=access,
    )
    return replace(made, **more)


def access(direction: Direction, network: str, what: Service) -> ControlledAccess:
    return ControlledAccess(direction=direction, network=ip_network(network), service=what)

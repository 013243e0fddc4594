"""Who could reach whom: the policy evaluated for every pair of zones and every service that matters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from audit.report.posture import Posture
from audit.report.zones import OUTSIDE, Zones
from policy_engine.endpoint import Endpoint, Request
from policy_engine.evaluate import evaluate
from ringfence.model.flow import PROTOCOL_NUMBERS
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Direction, Mode
from ringfence.model.workload import WorkloadKind

MOST_SERVICES = 24
MOST_EVALUATIONS = 200_000
STRANGER = ip_address("203.0.113.1")
"""Stands for the outside: an address reserved for documentation, which only `anywhere` contains."""
OTHER_PORT = 61234
"""Stands for every TCP port that neither the policy nor the traffic names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What policy says for one pair and one service: `denied` of `pairs` combinations of label sets, `enforced` of
    these denied in the kernel because the denying end is in protect."""

    source: str
    destination: str
    service: str
    pairs: int
    denied: int
    enforced: int
    sentence: str

    @property
    def verdict(self) -> str:
        """`allowed`, `denied` (and enforced), `would be denied` (policy says so, the mode does not) or `mixed`."""
        if self.denied == 0:
            return "allowed"
        if self.denied < self.pairs:
            return "mixed"
        return "denied" if self.enforced == self.pairs else "would be denied"


def services_of_interest(policies: PolicySet, observed: Sequence[tuple[int, int | None]]) -> dict[str, Request]:
    """Services by name: what was observed (most frequent first), what rules name, and one that nobody names."""
    found: dict[str, Request] = {}
    for protocol, port in [*observed, *_named(policies)]:
        if len(found) < MOST_SERVICES and (port is not None or protocol not in (6, 17)):
            request = Request(protocol=protocol, port=port)
            found.setdefault(str(request), request)
    return found | {"any other TCP port": Request(protocol=PROTOCOL_NUMBERS["tcp"], port=OTHER_PORT)}


def _named(policies: PolicySet) -> Iterator[tuple[int, int | None]]:
    for tier in policies.tiers:
        for policy in tier.policies:
            for direction in Direction:
                for rule in policy.rules(direction) or ():
                    for service in rule.services:
                        for interval in service.ports:
                            yield service.protocol or PROTOCOL_NUMBERS["tcp"], interval.first


@dataclass(frozen=True, slots=True)
class _Kind:
    """Workloads of one zone that policy cannot tell apart."""

    endpoint: Endpoint
    mode: Mode


def who_could(policies: PolicySet, zones: Zones, services: dict[str, Request]) -> tuple[Reach, ...]:
    """Every ordered pair of zones, with `outside` on either side; stops at `MOST_EVALUATIONS`."""
    kinds = {name: tuple(_kinds(members)) for name, members in zones.members.items()}
    kinds[OUTSIDE] = (_Kind(Endpoint(name=OUTSIDE, address=STRANGER), Mode.DISCOVER),)
    found: list[Reach] = []
    budget = MOST_EVALUATIONS
    for source, sources in kinds.items():
        for destination, destinations in kinds.items():
            if source == destination == OUTSIDE:
                continue
            for name, request in services.items():
                budget -= len(sources) * len(destinations)
                if budget < 0:
                    return tuple(found)
                found.append(_reach(policies, (source, sources), (destination, destinations), name, request))
    return tuple(found)


def _reach(
    policies: PolicySet,
    source: tuple[str, Sequence[_Kind]],
    destination: tuple[str, Sequence[_Kind]],
    name: str,
    request: Request,
) -> Reach:
    denied = enforced = 0
    sentence = ""
    for one in source[1]:
        for other in destination[1]:
            decision = evaluate(policies, one.endpoint, other.endpoint, request)
            sentence = sentence or decision.connection.sentence
            if decision.connection.denied:
                denied += 1
                enforced += (decision.egress.denied and one.mode is Mode.PROTECT) or (
                    decision.ingress.denied and other.mode is Mode.PROTECT
                )
    return Reach(
        source=source[0],
        destination=destination[0],
        service=name,
        pairs=len(source[1]) * len(destination[1]),
        denied=denied,
        enforced=enforced,
        sentence=sentence,
    )


def _kinds(members: Iterable[Posture]) -> Iterator[_Kind]:
    """One endpoint per distinct label set and mode, under the name of its first workload."""
    seen: set[tuple[tuple[tuple[str, str], ...], Mode]] = set()
    for item in members:
        key = (tuple(sorted(item.workload.labels.items())), item.mode)
        if key not in seen:
            seen.add(key)
            address = item.workload.addresses[0] if item.workload.addresses else None
            governed = item.workload.kind is not WorkloadKind.EXTERNAL
            endpoint = Endpoint(
                name=item.workload.name, labels=item.workload.labels, address=address, governed=governed
            )
            yield _Kind(endpoint, item.mode)

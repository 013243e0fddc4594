"""Random policies, inventories and packets for tests that compare evaluators, and builders of flow rows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from policy_engine.services import merged
from ringfence.model.flow import FLOW_SCHEMA, PROTOCOL_NAMES
from ringfence.model.policy import (
    Action,
    Group,
    Network,
    Peer,
    Policy,
    PolicySet,
    PortInterval,
    Rule,
    Selector,
    Service,
    Tier,
)
from ringfence.model.verdict import Mode
from ringfence.model.workload import Address, Attachment, NetworkKind, Workload, WorkloadKind
from tests.support.judge import Packet

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

SELECTORS = (
    "all()",
    "role == 'a'",
    "role != 'a'",
    "role in {'a', 'b'}",
    "role not in {'b'}",
    "has(env)",
    "!has(env)",
    "env == 'prod' && role == 'b'",
    "env starts with 'p' || role == 'c'",
)
NETWORKS = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/24",
        "10.0.0.0/30",
        "10.0.0.2/32",
        "10.0.0.128/25",
        "198.51.100.0/24",
        "fd00::/64",
        "fd00::2/128",
        "2001:db8::/32",
    )
)
OUTSIDE = tuple(ip_address(text) for text in ("198.51.100.9", "203.0.113.1", "2001:db8::9", "10.0.0.200", "fd00::99"))


def workload(
    name: str,
    labels: Mapping[str, str],
    addresses: Sequence[str] = (),
    *,
    kind: WorkloadKind = WorkloadKind.CONTAINER,
    netns: int | None = 1,
    network: NetworkKind = NetworkKind.BRIDGE,
    **more: Any,
) -> Workload:
    """A running workload with one attachment."""
    attachment = Attachment(
        network="net", kind=network, addresses=tuple(ip_address(item) for item in addresses), since=START
    )
    return Workload(
        id=f"id-{name}",
        name=name,
        kind=kind,
        host="h1",
        labels=labels,
        netns=netns,
        attachments=(attachment,),
        started=START,
        **more,
    )


INVENTORY = tuple(
    workload(
        f"w{index}",
        {key: value for key, value in (("role", role), ("env", env)) if value},
        [f"10.0.0.{index + 1}", f"fd00::{index + 1}"],
        netns=100 + index,
    )
    for index, (role, env) in enumerate(
        [("a", ""), ("b", ""), ("c", ""), ("a", "prod"), ("b", "prod"), ("", "test"), ("", "")]
    )
)

EXTERNAL: tuple[tuple[Network, Workload], ...] = tuple(
    (ip_network(network), workload(name, labels, kind=WorkloadKind.EXTERNAL, netns=None))
    for network, name, labels in (
        ("10.0.0.0/8", "corp", {"role": "a", "env": "prod"}),
        ("10.0.0.128/25", "lab", {"role": "c"}),
        ("198.51.100.0/24", "partner", {"role": "b", "env": "prod"}),
        ("198.51.100.8/30", "branch", {"role": "a"}),
        ("2001:db8::/32", "carrier", {"env": "test"}),
    )
)
"""Named networks outside, around each other and around containers."""
LINK_LOCAL: tuple[tuple[Network, Workload], ...] = tuple(
    (ip_network(f"fe80::{index + 1}"), item) for index, item in enumerate(INVENTORY)
)
HELD = EXTERNAL + LINK_LOCAL

ports = st.tuples(st.integers(0, 12), st.integers(0, 6)).map(
    lambda pair: PortInterval(first=pair[0], last=pair[0] + pair[1])
)
services = st.one_of(
    st.builds(
        Service,
        protocol=st.sampled_from([6, 17]),
        ports=st.lists(ports, max_size=3).map(merged),
    ),
    st.builds(
        Service,
        protocol=st.sampled_from([1, 58]),
        icmp_type=st.one_of(st.none(), st.sampled_from([0, 8])),
        icmp_code=st.none(),
    ),
    st.builds(Service, protocol=st.sampled_from([None, 47])),
)
networks = st.lists(st.sampled_from(NETWORKS), max_size=2).map(tuple)
peers = st.builds(
    Peer,
    selector=st.one_of(st.none(), st.sampled_from(SELECTORS).map(lambda text: Selector(text=text))),
    networks=networks,
    not_networks=networks,
)
rules = st.builds(
    Rule,
    action=st.sampled_from([Action.ALLOW, Action.DENY, Action.REJECT, Action.PASS, Action.PASS]),
    peers=st.lists(peers, max_size=2).map(tuple),
    services=st.lists(services, max_size=2).map(tuple),
)
rule_lists = st.one_of(st.none(), st.lists(rules, max_size=4).map(tuple))


@st.composite
def policy_sets(draw: st.DrawFn) -> PolicySet:
    """Up to three tiers of up to three policies, everybody in protect."""
    tiers = []
    for tier in range(draw(st.integers(0, 3))):
        policies = tuple(
            Policy(
                name=f"p{tier}{index}",
                tier=f"t{tier}",
                selector=Selector(text=draw(st.sampled_from(SELECTORS))),
                ingress=draw(rule_lists),
                egress=draw(rule_lists),
            )
            for index in range(draw(st.integers(0, 3)))
        )
        default = draw(st.sampled_from([Action.DENY, Action.PASS, Action.ALLOW, Action.REJECT]))
        tiers.append(Tier(name=f"t{tier}", policies=policies, default=default))
    group = Group(name="everything", selector=Selector(text="all()"), mode=Mode.PROTECT)
    return PolicySet(tiers=tuple(tiers), groups=(group,))


def random_packets(chance: random.Random, count: int) -> list[Packet]:
    """Connections between members of `INVENTORY` and addresses outside, one address family each."""
    return [_random_packet(chance) for _ in range(count)]


def _random_packet(chance: random.Random) -> Packet:
    version = chance.choice([4, 4, 6])
    ends: list[tuple[Mapping[str, str] | None, Address, bool]] = []
    for _ in range(2):
        if chance.random() < 0.25:
            address = chance.choice([item for item in OUTSIDE if item.version == version])
            named = external(address)
            ends.append((named.labels if named else None, address, False))
            continue
        member = chance.choice(INVENTORY)
        ends.append((member.labels, chance.choice([item for item in held_by(member) if item.version == version]), True))
    protocol = chance.choice([6, 6, 17, 1 if version == 4 else 58, 47])
    return Packet(
        source_labels=ends[0][0],
        source=ends[0][1],
        destination_labels=ends[1][0],
        destination=ends[1][1],
        protocol=protocol,
        port=chance.randint(0, 20) if protocol in (6, 17) else None,
        icmp_type=chance.choice([0, 8, 3]) if protocol in (1, 58) else None,
        icmp_code=0 if protocol in (1, 58) else None,
        source_governed=ends[0][2],
        destination_governed=ends[1][2],
    )


def external(address: Address) -> Workload | None:
    """The named network outside that an address belongs to: the longest prefix."""
    around = [(network.prefixlen, item) for network, item in EXTERNAL if address in network]
    return max(around, key=lambda pair: pair[0])[1] if around else None


def held_by(member: Workload) -> tuple[Address, ...]:
    """The addresses of a member of `INVENTORY`, link-local ones included."""
    return (*member.addresses, *(network.network_address for network, item in LINK_LOCAL if item is member))


def flow_row(number: int = 0, **columns: Any) -> dict[str, Any]:
    """One row of the flow schema: an outside client asking an outside server over TCP, unless told otherwise."""
    row: dict[str, Any] = dict.fromkeys(FLOW_SCHEMA.names)
    at = START + timedelta(milliseconds=number)
    row |= {
        "flow_id": f"f{number:06}",
        "host": "h1",
        "reporter": "dst",
        "origin": "conntrack",
        "started": at,
        "last_seen": at + timedelta(seconds=1),
        "protocol": 6,
        "ip_version": 4,
        "src_ip": "198.51.100.9",
        "src_port": 40000,
        "dst_ip": "203.0.113.1",
        "dst_port": 80,
        "src_method": "unknown",
        "dst_method": "unknown",
    }
    row |= columns
    row["transport"] = PROTOCOL_NAMES.get(row["protocol"], str(row["protocol"]))
    return row


def end_columns(side: str, item: Workload, version: int = 4) -> dict[str, Any]:
    """The columns of one end that is a known workload."""
    address = next((str(entry) for entry in item.addresses if entry.version == version), None)
    return {
        f"{side}_workload": item.id,
        f"{side}_name": item.name,
        f"{side}_kind": item.kind.value,
        f"{side}_labels": [f"{key}={value}" for key, value in item.labels.items()],
        f"{side}_method": "netns",
    } | ({f"{side}_ip": address} if address else {})


def flow_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=FLOW_SCHEMA)

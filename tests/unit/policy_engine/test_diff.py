from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import ip_network

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy_engine.diff import Change, diff
from policy_engine.parse import parse_policy
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Mode
from ringfence.model.workload import Attachment, NetworkKind, WorkloadKind
from tests.support.judge import Packet, slow_connection
from tests.support.policies import INVENTORY, START, policy_sets, random_packets, workload

TEXT = """\
version: 1
groups: [{name: g, selector: "role == 'db'", mode: protect}]
tiers: [{name: t}]
policies:
  - name: db
    tier: t
    selector: "role == 'db'"
    ingress: [{action: allow, from: {selector: "role == 'api'"}, protocol: tcp, ports: [5432]}]
"""
WORKLOADS = [
    workload("api1", {"role": "api"}, ["10.0.0.2"]),
    workload("api2", {"role": "api"}, ["10.0.0.3"]),
    workload("db", {"role": "db"}, ["10.0.0.4"]),
]


def test_a_policy_does_not_differ_from_itself() -> None:
    assert diff(parse_policy(TEXT), parse_policy(TEXT), WORKLOADS).empty


def test_an_opened_port_is_one_change_in_words_and_rows() -> None:
    found = diff(parse_policy(TEXT), parse_policy(TEXT.replace("[5432]", "[5432, 6000]")), WORKLOADS)
    assert found.closed == ()
    assert found.opened == (
        Change(
            sources=("api1", "api2"),
            destinations=("db",),
            services=("tcp/6000",),
            families=(4,),
            before="t/ingress/default",
            after="t/db/ingress/0",
            sentence="api1, api2 may now reach db on tcp/6000: "
            "decided by t/db/ingress/0, formerly by t/ingress/default",
        ),
    )


def test_a_first_policy_closes_for_everyone_but_those_it_names_and_changes_the_mode() -> None:
    found = diff(PolicySet(), parse_policy(TEXT), WORKLOADS)
    assert found.opened == ()
    by_source = {change.sources: change.services for change in found.closed if "api1" in change.sources}
    assert by_source == {("api1", "api2"): ("tcp/0-5431", "tcp/5433-65535", "udp", "icmp", "any other protocol")}
    assert all("formerly by no policy" in change.sentence for change in found.closed)
    assert [(item.workloads, item.before, item.after) for item in found.modes] == [
        (("db",), Mode.DISCOVER, Mode.PROTECT)
    ]


def test_taking_a_policy_back_opens_what_it_closed() -> None:
    one, other = diff(PolicySet(), parse_policy(TEXT), WORKLOADS), diff(parse_policy(TEXT), PolicySet(), WORKLOADS)
    assert [(item.sources, item.destinations, item.services) for item in one.closed] == [
        (item.sources, item.destinations, item.services) for item in other.opened
    ]


def test_another_reason_for_the_same_verdict_is_no_difference() -> None:
    louder = TEXT.replace("[5432]}]", "[5432]}, {action: reject}]")
    assert diff(parse_policy(TEXT), parse_policy(louder), WORKLOADS).empty


NAMES = {address: item.name for item in INVENTORY for address in item.addresses}
TRANSPORTS = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 47: "protocol 47"}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(policy_sets(), policy_sets(), st.integers(0, 2**32 - 1))
def test_a_packet_changes_its_verdict_exactly_where_the_difference_says_so(
    before: PolicySet, after: PolicySet, seed: int
) -> None:
    found = diff(before, after, INVENTORY)
    for packet in random_packets(random.Random(seed), 60):
        if not {packet.source, packet.destination} <= set(NAMES) or packet.source == packet.destination:
            continue
        old, new = slow_connection(before, packet), slow_connection(after, packet)
        assert any(_covers(change, packet) for change in found.opened) is (new and not old)
        assert any(_covers(change, packet) for change in found.closed) is (old and not new)


def _covers(change: Change, packet: Packet) -> bool:
    return (
        NAMES[packet.source] in change.sources
        and NAMES[packet.destination] in change.destinations
        and packet.source.version in change.families
        and any(_serves(text, packet) for text in change.services)
    )


def _serves(text: str, packet: Packet) -> bool:
    """Reads the words again: `tcp/5-9`, `icmp type 8`, `icmp except type 8`."""
    word = TRANSPORTS[packet.protocol]
    if text.startswith(f"{word}/"):
        first, _, last = text.removeprefix(f"{word}/").partition("-")
        return packet.port is not None and int(first) <= packet.port <= int(last or first)
    if text.startswith(f"{word} except type "):
        return str(packet.icmp_type) not in text.removeprefix(f"{word} except type ").split(", ")
    if text.startswith("any other protocol"):
        return packet.protocol == 47 and "47" not in text
    return text in (word, f"{word} type {packet.icmp_type}")


def test_a_named_network_outside_is_let_in_by_its_labels_and_enters_no_mode() -> None:
    office = replace(
        workload("office", {"role": "office"}, kind=WorkloadKind.EXTERNAL, netns=None),
        attachments=(
            Attachment(network="wan", kind=NetworkKind.OTHER, networks=(ip_network("198.51.100.0/24"),), since=START),
        ),
    )
    draft = TEXT.replace("role == 'api'", "role in {'api', 'office'}").replace(
        "groups: [", "default_mode: monitor\ngroups: ["
    )
    found = diff(parse_policy(TEXT), parse_policy(draft), [*WORKLOADS, office])
    assert [(item.sources, item.destinations, item.services) for item in found.opened] == [
        (("office",), ("db",), ("tcp/5432",))
    ]
    assert [item.workloads for item in found.modes] == [("api1", "api2")]

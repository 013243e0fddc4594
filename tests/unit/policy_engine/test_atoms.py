from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_network

from policy_engine.atoms import all_rules, ends, service_atoms, services_text
from policy_engine.parse import parse_policy
from ringfence.model.policy import PolicySet, Rule
from ringfence.model.workload import Attachment, NetworkKind, WorkloadKind
from tests.support.policies import START, workload

TEXT = """\
version: 1
tiers: [{name: t}]
policies:
  - name: p
    tier: t
    selector: all()
    ingress:
      - {action: allow, from: {networks: [10.0.0.0/24]}, protocol: tcp, ports: [80, "8000-8100"]}
      - {action: allow, from: {networks: [10.0.0.0/8], except: [10.9.0.0/16]}, protocol: icmp, icmp: {type: 8}}
      - {action: allow, protocol: 47}
"""


def rules() -> list[Rule]:
    return all_rules([parse_policy(TEXT)])


def test_atoms_cover_every_port_once_and_every_protocol() -> None:
    atoms = service_atoms(rules())
    spans = [(atom.first, atom.last) for atom in atoms if atom.request.protocol == 6]
    assert spans == [(0, 79), (80, 80), (81, 7999), (8000, 8100), (8101, 65535)]
    assert {atom.request.protocol for atom in atoms} == {1, 6, 17, 47, 58, 253}
    assert [atom.request.icmp_type for atom in atoms if atom.request.protocol == 1] == [8, 255]


def test_atoms_are_joined_into_the_fewest_words() -> None:
    atoms = service_atoms(rules())
    assert services_text(atoms) == (
        "tcp",
        "udp",
        "icmp type 8",
        "icmp except type 8",
        "protocol 47",
        "ipv6-icmp",
        "any other protocol except 47",
    )
    tcp = [atom for atom in atoms if atom.request.protocol == 6]
    assert services_text([tcp[1], tcp[3], tcp[4]]) == ("tcp/80", "tcp/8000-65535")


def test_without_rules_there_is_one_atom_per_common_protocol() -> None:
    assert services_text(service_atoms([])) == ("tcp", "udp", "icmp", "ipv6-icmp", "any other protocol")


def test_addresses_outside_are_cut_where_networks_begin_and_end() -> None:
    names = [item.endpoint.name for item in ends(rules(), [])]
    assert names == [
        "any other IPv4 address",
        "10.0.0.0/24",
        "the rest of 10.0.0.0/8",
        "10.9.0.0/16",
        "any IPv6 address outside",
    ]


def test_workloads_stand_for_each_of_their_addresses_and_not_for_a_stretch_outside() -> None:
    item = workload("w", {"a": ""}, ["10.0.0.0", "fd00::1"])
    found = ends(rules(), [item])
    assert [(end.workload, end.family) for end in found][:2] == [("id-w", 4), ("id-w", 6)]
    inside = next(end for end in found if end.endpoint.name == "10.0.0.0/24")
    assert str(inside.endpoint.address) == "10.0.0.1"


def test_a_container_in_the_hosts_network_stands_for_the_hosts_addresses() -> None:
    host = workload("host", {}, ["10.0.0.1"], kind=WorkloadKind.HOST, network=NetworkKind.HOST)
    agent = workload("agent", {"a": ""}, network=NetworkKind.HOST)
    found = {end.workload: str(end.endpoint.address) for end in ends(rules(), [agent, host]) if end.workload}
    assert found == {"id-agent": "10.0.0.1", "id-host": "10.0.0.1"}


def test_a_network_that_workloads_fill_has_no_stretch_outside() -> None:
    text = TEXT.replace("10.0.0.0/24", "10.0.0.7/32")
    found = ends(all_rules([parse_policy(text)]), [workload("w", {}, ["10.0.0.7"])])
    assert "10.0.0.7/32" not in {end.endpoint.name for end in found}


def test_the_empty_policy_has_no_rules() -> None:
    assert all_rules([PolicySet()]) == []


def test_a_named_network_outside_is_cut_by_rules_and_by_what_is_named_within_it() -> None:
    corp, lab = (
        replace(
            workload(name, {"site": name}, kind=WorkloadKind.EXTERNAL, netns=None),
            attachments=(
                Attachment(network="n", kind=NetworkKind.OTHER, networks=(ip_network(network),), since=START),
            ),
        )
        for name, network in (("corp", "10.0.0.0/9"), ("lab", "10.9.0.0/24"))
    )
    found = [
        (item.endpoint.name, str(item.endpoint.address), item.workload)
        for item in ends(rules(), [corp, lab])
        if item.family == 4
    ]
    assert found == [
        ("any other IPv4 address", str(IPv4Address(0)), None),
        ("corp", "10.0.0.0", "id-corp"),
        ("corp", "10.0.1.0", "id-corp"),
        ("lab", "10.9.0.0", "id-lab"),
        ("corp", "10.9.1.0", "id-corp"),
        ("the rest of 10.0.0.0/8", "10.128.0.0", None),
    ]
    assert not any(item.endpoint.governed for item in ends(rules(), [corp, lab]) if item.workload)

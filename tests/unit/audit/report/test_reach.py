from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from audit.report.posture import Posture, examine_posture
from audit.report.reach import Could, Reach, who_could
from audit.report.zones import OUTSIDE, make_zones
from policy_engine.parse import parse_policy
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Mode
from ringfence.model.workload import Attachment, NetworkKind, WorkloadKind
from tests.support.audit_sources import SHOP_POLICY, START, sources, workload
from tests.support.audit_sources import shop as shop_state

POLICY = parse_policy(SHOP_POLICY)
CIDR = """
version: 1
default_mode: protect
tiers: [{name: t}]
policies:
  - {name: db, tier: t, selector: role == 'db', ingress: [%s]}
"""


def postures(*attached: tuple[str, str]) -> list[Posture]:
    """The shop's workloads; those named get an address."""
    found = dict(attached)
    return [
        replace(item, workload=replace(item.workload, attachments=(_attachment(found[item.workload.name]),)))
        if item.workload.name in found
        else item
        for item in examine_posture(sources(), POLICY)
    ]


def _attachment(*addresses: str) -> Attachment:
    parsed = tuple(ip_address(text) for text in addresses)
    return Attachment(network="n", kind=NetworkKind.BRIDGE, since=START, addresses=parsed)


def _spanning(network: str) -> Attachment:
    return Attachment(network="n", kind=NetworkKind.OTHER, since=START, networks=(ip_network(network),))


def pairs(could: Could) -> dict[tuple[str, str], Reach]:
    return {(item.source, item.destination): item for item in could.pairs}


def shop(mode: Mode = Mode.PROTECT) -> dict[tuple[str, str], Reach]:
    given = [replace(item, mode=mode) for item in postures()]
    return pairs(who_could(POLICY, make_zones(given, "role")))


def limited(rules: str, given: list[Posture]) -> dict[tuple[str, str], Reach]:
    protected = [replace(item, mode=Mode.PROTECT) for item in given]
    return pairs(who_could(parse_policy(CIDR % rules), make_zones(protected, "role")))


def test_what_policy_opens_is_open_and_the_rest_is_closed() -> None:
    found = shop()
    assert found["api", "db"].services("allowed") == "tcp/5432"
    assert found["api", "db"].services("denied") == "everything else"
    assert found["web", "db"].services("denied") == "everything"
    assert found[OUTSIDE, "db"].services("denied") == "everything"
    assert found["web", OUTSIDE].services("allowed") == "everything"
    assert (OUTSIDE, OUTSIDE) not in found


def test_what_is_not_enforced_is_not_called_denied() -> None:
    assert shop(Mode.MONITOR)["web", "db"].services("would be denied") == "everything"


def test_a_network_that_a_rule_lets_in_is_not_lost_in_the_outside() -> None:
    found = limited("{action: allow, from: [{networks: [198.51.100.0/24]}]}", postures(("db", "10.0.0.2")))
    assert found[OUTSIDE, "db"].services("mixed") == "everything"
    assert found[OUTSIDE, "db"].services("denied") == ""


def test_a_named_network_outside_that_a_selector_lets_in_is_not_lost_in_the_outside() -> None:
    office = workload("office", kind=WorkloadKind.EXTERNAL, attachments=(_spanning("198.51.100.0/24"),))
    policies = parse_policy(CIDR % "{action: allow, from: [{selector: \"role == 'office'\"}], protocol: tcp}")
    protected = [replace(item, mode=Mode.PROTECT) for item in postures(("db", "10.0.0.2"))]
    zones = make_zones(protected, "role")
    assert pairs(who_could(policies, zones))[OUTSIDE, "db"].services("denied") == "everything"
    found = pairs(who_could(policies, zones, external=[office]))[OUTSIDE, "db"]
    assert found.services("mixed") == "tcp"
    assert found.services("denied") == "everything else"


def test_only_what_is_proven_in_the_kernel_is_called_denied() -> None:
    unproven = pairs(who_could(POLICY, make_zones([replace(item, proven=False) for item in postures()], "role")))
    assert unproven["web", "db"].services("would be denied") == "everything"
    shops = tuple(replace(item.workload, kind=WorkloadKind.HOST) for item in postures())
    hosts = examine_posture(sources(of=shop_state(workloads=shops)), POLICY)
    assert pairs(who_could(POLICY, make_zones(hosts, "role")))["web", "db"].services("denied") == ""


def test_the_other_address_family_counts() -> None:
    given = postures()
    given[1] = replace(given[1], workload=replace(given[1].workload, attachments=(_attachment("10.0.0.2", "fd00::2"),)))
    found = limited(
        "{action: allow, from: [{networks: [198.51.100.0/24, '::/0']}], services: [{protocol: tcp}]}", given
    )
    assert found[OUTSIDE, "db"].services("mixed") == "tcp"
    assert found[OUTSIDE, "db"].services("denied") == "everything else"


def test_every_address_of_every_workload_is_held_against_the_networks() -> None:
    given = postures(("api", "10.1.0.1"), ("db", "10.0.0.2"))
    twin = replace(given[0], workload=replace(workload("twin", role="api"), attachments=(_attachment("10.2.0.1"),)))
    found = limited("{action: allow, from: [{networks: [10.2.0.0/16]}]}", [*given, twin])
    assert found["api", "db"].services("mixed") == "everything"


def test_a_container_in_the_hosts_network_is_held_against_the_networks_by_the_hosts_addresses() -> None:
    given = postures(("db", "10.0.0.2"))
    inside = Attachment(network="host", kind=NetworkKind.HOST, since=START)
    host = workload("h1", kind=WorkloadKind.HOST, netns=1, attachments=(_attachment("10.2.0.1"),))
    given[0] = replace(given[0], workload=replace(given[0].workload, netns=1, attachments=(inside,)))
    found = limited("{action: allow, from: [{networks: [10.2.0.0/16]}]}", [*given, replace(given[0], workload=host)])
    assert found["api", "db"].services("allowed") == "everything"


def test_a_workload_that_ended_keeps_the_addresses_it_had() -> None:
    given = postures(("api", "10.2.0.1"), ("db", "10.0.0.2"))
    ended = replace(given[0].workload.attachments[0], until=START)
    given[0] = replace(given[0], workload=replace(given[0].workload, attachments=(ended,), ended=START))
    found = limited("{action: allow, from: [{networks: [10.2.0.0/16]}]}", given)
    assert found["api", "db"].services("allowed") == "everything"


def test_ends_without_a_common_family_are_no_pair() -> None:
    found = limited("{action: allow}", postures(("api", "10.0.0.1"), ("db", "fd00::2")))
    assert ("api", "db") not in found


def test_a_range_is_judged_where_another_rule_cuts_it() -> None:
    rules = (
        "{action: deny, services: [{protocol: tcp, ports: [8050]}]}, "
        "{action: allow, services: [{protocol: tcp, ports: [8000-8100]}]}"
    )
    found = limited(rules, postures())
    assert found["web", "db"].services("allowed") == "tcp/8000-8049, tcp/8051-8100"


def test_no_service_is_dropped_however_many_the_rules_name() -> None:
    ports = ", ".join(str(port) for port in range(1000, 1100, 2))
    found = limited(f"{{action: allow, services: [{{protocol: udp, ports: [{ports}]}}]}}", postures())
    assert found["web", "db"].services("allowed").count("udp/") == 50
    assert found["web", "db"].services("allowed", most=2) == "udp/1000, udp/1002 +48"


def test_a_zone_of_different_workloads_is_mixed() -> None:
    same = [
        replace(item, workload=replace(item.workload, labels=dict(item.workload.labels) | {"z": "all"}))
        for item in examine_posture(sources(), POLICY)
    ]
    inner = pairs(who_could(POLICY, make_zones(same, "z")))["all", "all"]
    assert {cell.pairs for cell in inner.cells} == {9} and inner.services("mixed") == "everything"


def test_workloads_that_policy_cannot_tell_apart_are_asked_once() -> None:
    twins = [*postures(), replace(postures()[0], workload=workload("twin", role="api"))]
    found = pairs(who_could(POLICY, make_zones(twins, "role")))
    inner = [item for item in found.values() if OUTSIDE not in (item.source, item.destination)]
    assert {cell.pairs for item in inner for cell in item.cells} == {1}


def test_a_service_is_denied_only_when_every_pair_is_denied_and_enforced() -> None:
    cell = shop()["web", "db"].cells[0]
    assert replace(cell, pairs=2, denied=2, enforced=1).verdict == "would be denied"
    assert replace(cell, pairs=2, denied=2, enforced=2).verdict == "denied"
    assert replace(cell, pairs=2, denied=1, enforced=1).verdict == "mixed"
    assert replace(cell, pairs=2, denied=0, enforced=0).verdict == "allowed"


def test_what_was_not_evaluated_is_counted() -> None:
    zones = make_zones(postures(), "role")
    assert who_could(POLICY, zones).left_out == 0
    cut = who_could(POLICY, zones, most=40)
    assert cut.left_out == 15 - len(cut.pairs) > 0


def test_without_any_policy_everything_is_open() -> None:
    found = pairs(who_could(PolicySet(), make_zones(postures(), "role")))
    assert {item.services("allowed") for item in found.values()} == {"everything"}

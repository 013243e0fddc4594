from __future__ import annotations

from dataclasses import replace

from audit.report.posture import examine_posture
from audit.report.reach import MOST_SERVICES, OTHER_PORT, Reach, services_of_interest, who_could
from audit.report.zones import OUTSIDE, make_zones
from policy_engine.endpoint import Request
from policy_engine.parse import parse_policy
from ringfence.model.verdict import Mode
from tests.support.audit_sources import SHOP_POLICY, sources, workload

POLICY = parse_policy(SHOP_POLICY)
SERVICES = {"tcp/5432": Request(protocol=6, port=5432), "any other TCP port": Request(protocol=6, port=OTHER_PORT)}


def verdicts(mode: Mode = Mode.PROTECT) -> dict[tuple[str, str, str], str]:
    postures = [replace(item, mode=mode) for item in examine_posture(sources(), POLICY)]
    found = who_could(POLICY, make_zones(postures, "role"), SERVICES)
    return {(item.source, item.destination, item.service): item.verdict for item in found}


def test_what_policy_opens_is_open_and_the_rest_is_closed() -> None:
    found = verdicts()
    assert found["api", "db", "tcp/5432"] == "allowed"
    assert found["api", "db", "any other TCP port"] == "denied"
    assert found["web", "db", "tcp/5432"] == "denied"
    assert found[OUTSIDE, "db", "tcp/5432"] == "denied"
    assert found["web", OUTSIDE, "tcp/5432"] == "allowed"
    assert (OUTSIDE, OUTSIDE, "tcp/5432") not in found


def test_what_is_not_enforced_is_not_called_denied() -> None:
    assert verdicts(Mode.MONITOR)["web", "db", "tcp/5432"] == "would be denied"


def test_a_zone_of_different_workloads_is_mixed() -> None:
    postures = examine_posture(sources(), POLICY)
    same = [
        replace(item, workload=replace(item.workload, labels=dict(item.workload.labels) | {"z": "all"}))
        for item in postures
    ]
    found = who_could(POLICY, make_zones(same, "z"), SERVICES)
    inner = next(item for item in found if (item.source, item.destination, item.service) == ("all", "all", "tcp/5432"))
    assert inner.pairs == 9 and inner.verdict == "mixed"


def test_workloads_that_policy_cannot_tell_apart_are_asked_once() -> None:
    postures = examine_posture(sources(), POLICY)
    twins = [*postures, replace(postures[0], workload=workload("twin", role="api"))]
    found = who_could(POLICY, make_zones(twins, "role"), SERVICES)
    assert {item.pairs for item in found} == {1}


def test_services_are_those_seen_those_named_and_one_that_nobody_names() -> None:
    found = services_of_interest(POLICY, [(6, 80), (1, None), (6, None)])
    assert list(found) == ["tcp/80", "icmp", "tcp/5432", "any other TCP port"]
    many = services_of_interest(POLICY, [(17, port) for port in range(100)])
    assert len(many) == MOST_SERVICES + 1 and "any other TCP port" in many


def test_a_verdict_is_denied_only_when_every_pair_is_denied_and_enforced() -> None:
    made = Reach(source="a", destination="b", service="s", pairs=2, denied=2, enforced=1, sentence="")
    assert made.verdict == "would be denied"
    assert replace(made, enforced=2).verdict == "denied"
    assert replace(made, denied=1, enforced=1).verdict == "mixed"

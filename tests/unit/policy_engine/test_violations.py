from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address

import numpy as np
import pytest

from policy_engine.endpoint import Endpoint
from policy_engine.violations import MAX_ADDRESSES, MAX_EVIDENCE, Violation, violations
from ringfence.model.finding import FindingKind, Severity
from tests.support.policies import START, flow_row, flow_table

WEB = Endpoint(name="web", labels={})
DB = Endpoint(name="db", labels={})


def outside(number: int) -> Endpoint:
    address = ip_address(f"198.51.100.{number}")
    return Endpoint(name=str(address), address=address)


def violation(
    source: Endpoint = WEB, destination: Endpoint = DB, *, rule: str = "t/p/ingress/0", staged: bool = False
) -> Violation | None:
    ids = tuple(f"id-{end.name}" if end.labels is not None else None for end in (source, destination))
    return Violation.between(source, destination, ids, rule=rule, sentence=f"{source.name} may not", staged=staged)  # type: ignore[arg-type]


def test_the_source_is_the_offender_where_it_is_a_workload() -> None:
    found = violation()
    assert found is not None
    assert (found.workload, found.peer, found.peer_name) == ("id-web", "id-db", "db")
    incoming = violation(outside(1), DB)
    assert incoming is not None
    assert (incoming.workload, incoming.peer, incoming.peer_known) == ("id-db", "198.51.100.1", False)


def test_what_a_quarantine_drops_and_what_nobody_owns_is_no_violation() -> None:
    assert violation(rule="quarantine/egress/default") is None
    assert violation(outside(1), outside(2)) is None


def test_one_finding_per_workload_peer_and_rule_with_its_count_window_and_evidence() -> None:
    flows = flow_table([flow_row(number) for number in range(100)])
    inverse = np.zeros(100, dtype=np.int64)
    (finding,) = violations(flows, inverse, [violation()])
    assert finding.kind is FindingKind.POLICY_VIOLATION
    assert (finding.count, len(finding.flows), finding.flows[0]) == (100, MAX_EVIDENCE, "f000000")
    assert finding.first_seen == START
    assert finding.last_seen == START + timedelta(seconds=1, milliseconds=99)
    assert finding.key == "policy:id-web:id-db:t/p/ingress/0:enforced"


def test_an_id_is_the_same_for_the_same_evidence_and_another_for_a_later_episode() -> None:
    early, late = flow_table([flow_row(0)]), flow_table([flow_row(9)])
    inverse = np.zeros(1, dtype=np.int64)
    ids = [violations(flows, inverse, [violation()])[0].id for flows in (early, early, late)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("rule", "staged", "severity"),
    [
        ("t/p/ingress/0", False, Severity.HIGH),
        ("t/ingress/default", False, Severity.MEDIUM),
        ("", False, Severity.MEDIUM),
        ("t/p/ingress/0", True, Severity.MEDIUM),
        ("t/ingress/default", True, Severity.LOW),
    ],
)
def test_a_rule_weighs_more_than_a_default_and_a_denial_more_than_a_staged_one(
    rule: str, staged: bool, severity: Severity
) -> None:
    (finding,) = violations(
        flow_table([flow_row(0)]), np.zeros(1, dtype=np.int64), [violation(rule=rule, staged=staged)]
    )
    assert finding.severity is severity
    assert finding.staged is staged


def test_a_scan_from_outside_is_one_finding() -> None:
    count = MAX_ADDRESSES + 1
    flows = flow_table([flow_row(number) for number in range(count)])
    found = violations(flows, np.arange(count), [violation(outside(number), DB) for number in range(count)])
    assert len(found) == 1
    assert (found[0].peer, found[0].peer_name, found[0].count) == (None, "51 addresses", count)
    assert found[0].sentence == "198.51.100.0 may not (and 50 more like it)"
    few = violations(flows, np.arange(count) % 3, [violation(outside(number), DB) for number in range(3)])
    assert len(few) == 3


def test_nothing_wrong_is_nothing_found() -> None:
    assert violations(flow_table([flow_row(0)]), np.zeros(1, dtype=np.int64), [None]) == ()

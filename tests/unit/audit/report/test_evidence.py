from __future__ import annotations

import pytest

from audit.report.evidence import connections, counted, example, names
from ringfence.model.enforcement import EnforcementState
from ringfence.model.verdict import Direction
from ringfence.model.workload import Attachment, Containment, NetworkKind
from tests.support.audit_sources import (
    SHOP_POLICY,
    START,
    denied,
    enforcement,
    evidence,
    flow,
    slipped,
    workload,
)


def test_edges_are_sorted_into_violations_denials_and_what_no_rule_named() -> None:
    found = evidence([flow(), denied(), slipped(), flow("web", "api", 80, enforced_basis="default"),
                      flow(enforced=None, staged="denied")])  # fmt: skip
    assert [connections(rows) for rows in (found.violations, found.denied, found.unjustified)] == [1, 1, 1]
    assert connections(found.insecure) == 1
    assert example(found.violations) == "web to db tcp/23"


def test_a_direction_is_open_without_policy_or_with_one_that_lets_everything_through() -> None:
    assert [item.workload.name for item in evidence().open_in(Direction.INGRESS)] == ["web"]
    everything = SHOP_POLICY.replace("    egress: []\n", "    egress: [{action: allow}]\n")
    assert [item.workload.name for item in evidence(text=everything).open_in(Direction.EGRESS)] == ["db", "web"]
    lenient = SHOP_POLICY.replace("{name: application}", "{name: application, default: allow}")
    assert len(evidence(text=lenient).open_in(Direction.INGRESS)) == 3


@pytest.mark.parametrize(
    "rules",
    [
        "{action: allow, to: [{networks: [0.0.0.0/0, '::/0']}]}",
        "{action: allow, to: [{networks: [0.0.0.0/0]}]}",
        "{action: allow, to: [{networks: [0.0.0.0/1, 128.0.0.0/1]}]}",
        "{action: allow, to: [{networks: ['::/1']}]}, {action: allow, to: [{networks: ['8000::/1']}]}",
        "{action: allow, to: [{networks: [0.0.0.0/0], except: [10.0.0.0/8]}]}, "
        "{action: allow, to: [{networks: [10.0.0.0/8]}]}",
        "{action: allow, services: [{protocol: tcp, ports: [0-65535]}]}, {action: allow, services: [{protocol: tcp}]}, "
        "{action: allow, to: [{networks: ['::/0']}]}",
    ],
)
def test_letting_everything_through_is_seen_however_it_is_written(rules: str) -> None:
    everything = SHOP_POLICY.replace("    egress: []\n", f"    egress: [{rules}]\n")
    assert [item.workload.name for item in evidence(text=everything).open_in(Direction.EGRESS)] == ["db", "web"]


@pytest.mark.parametrize(
    "rules",
    [
        "{action: allow, to: [{networks: [0.0.0.0/1]}]}",
        "{action: allow, to: [{networks: [0.0.0.0/0]}], services: [{protocol: tcp, ports: [443]}]}",
        "{action: allow, to: [{selector: all()}]}",
        "{action: deny, to: [{networks: [0.0.0.0/0]}]}",
    ],
)
def test_letting_something_through_is_a_limit(rules: str) -> None:
    some = SHOP_POLICY.replace("    egress: []\n", f"    egress: [{rules}]\n")
    assert [item.workload.name for item in evidence(text=some).open_in(Direction.EGRESS)] == ["web"]


def test_containers_by_network_and_by_rights() -> None:
    bridge = Attachment(network="bridge", kind=NetworkKind.BRIDGE, since=START)
    own = Attachment(network="shop", kind=NetworkKind.BRIDGE, since=START)
    host = Attachment(network="host", kind=NetworkKind.HOST, since=START)
    found = evidence(
        workloads=(
            workload("a", attachments=(bridge,)),
            workload("b", attachments=(own, host)),
            workload("c", containment=Containment.HOST_SIDE),
        )
    )
    assert names(found.attached_to(NetworkKind.BRIDGE, "bridge")) == "a"
    assert names(found.attached_to(NetworkKind.BRIDGE)) == "a, b"
    assert names(found.attached_to(NetworkKind.HOST)) == "b"
    assert names(found.holding_net_admin()) == "c"


def test_failed_enforcement_is_told_from_missing_proof() -> None:
    found = evidence(enforcements=(enforcement("db", state=EnforcementState.FAILED), enforcement("api")))
    assert names(found.enforcement_failed) == "db"
    assert names(found.not_proven) == "db, web"


def test_long_lists_are_cut_and_counts_have_their_plural() -> None:
    assert names(evidence().scope, most=2) == "api, db and 1 more"
    assert (counted(1, "drift"), counted(2000, "drift")) == ("1 drift", "2,000 drifts")

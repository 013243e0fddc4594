from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network

from audit.report.posture import PROOF_AGE, examine_posture, external_networks, in_force_policy, revisions_in_window
from policy_engine.parse import parse_policy
from ringfence.model.enforcement import EnforcementState
from ringfence.model.verdict import Mode
from ringfence.model.workload import Attachment, NetworkKind, WorkloadKind
from tests.support.audit_sources import (
    END,
    NOW,
    SHOP_POLICY,
    START,
    enforcement,
    revision,
    shop,
    sources,
    state,
    workload,
)

POLICY = parse_policy(SHOP_POLICY)


def test_each_workload_has_its_mode_and_the_policies_that_select_it() -> None:
    found = {item.workload.name: item for item in examine_posture(sources(), POLICY)}
    assert found["db"].ingress == found["db"].egress == ("db",)
    assert found["web"].ingress == ()
    assert {item.mode for item in found.values()} == {Mode.PROTECT}
    assert all(item.proven for item in found.values())


def test_the_latest_run_counts_and_external_networks_do_not() -> None:
    runs = (
        workload("db", started=START + timedelta(minutes=9), image="new"),
        workload("db", image="old"),
        workload("net", kind=WorkloadKind.EXTERNAL),
    )
    found = examine_posture(sources(of=state(workloads=runs)), POLICY)
    assert [(item.workload.name, item.workload.image) for item in found] == [("db", "new")]


def test_an_old_partial_or_missing_proof_proves_nothing() -> None:
    weak = (
        enforcement("db", verified=NOW - PROOF_AGE - timedelta(seconds=1)),
        enforcement("api", state=EnforcementState.PARTIAL),
        enforcement("web", verified=None),
    )
    assert not any(item.proven for item in examine_posture(sources(of=shop(enforcements=weak)), POLICY))
    assert not any(item.proven for item in examine_posture(sources(of=shop(enforcements=())), POLICY))


def test_a_proof_is_fresh_where_it_was_when_the_workload_ended() -> None:
    ended = workload("db", ended=START + timedelta(minutes=2))
    kept = enforcement("db", verified=START + timedelta(minutes=1))
    (found,) = examine_posture(sources(of=state(workloads=(ended,), enforcements=(kept,))), POLICY)
    assert found.proven and found.protected


def test_a_host_is_protected_by_nothing() -> None:
    host = workload("db", kind=WorkloadKind.HOST)
    (found,) = examine_posture(sources(of=state(workloads=(host,), enforcements=(enforcement("db"),))), POLICY)
    assert found.mode is None and not found.protected


def test_a_network_that_was_named_in_the_window_counts_as_named() -> None:
    part = Attachment(network="n", kind=NetworkKind.OTHER, since=START, until=END, networks=(ip_network("10.0.0.0/8"),))
    gone = workload("office", kind=WorkloadKind.EXTERNAL, ended=END, attachments=(part,))
    (found,) = external_networks(sources(of=state(workloads=(gone, workload("db")))))
    assert (found.running, found.networks) == (True, part.networks)


def test_the_policy_is_the_one_at_the_end_of_the_window() -> None:
    later = revision(2, "version: 1\n", applied=END + timedelta(seconds=1))
    policies, found = in_force_policy(sources(of=shop(revisions=(revision(), later))))
    assert found.revision == 1 and policies.tiers
    assert in_force_policy(sources(of=state()))[1].revision == 0


def test_a_policy_nobody_can_read_any_more_is_the_empty_one() -> None:
    policies, found = in_force_policy(sources(of=shop(revisions=(revision(1, "version: 99\n"),))))
    assert policies.tiers == () and found.revision == 1


def test_revisions_of_the_window_oldest_first() -> None:
    inside = [revision(number, applied=START + timedelta(minutes=number)) for number in (2, 3)]
    outside = (revision(1), revision(4, applied=END))
    found = revisions_in_window(sources(of=shop(revisions=(outside[0], *inside, outside[1]))))
    assert [item.revision for item in found] == [2, 3]

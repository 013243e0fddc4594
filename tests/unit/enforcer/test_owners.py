"""Who stands in which namespace."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from enforcer.netns import Netns
from enforcer.owners import occupied, quarantine_of
from ringfence.model.verdict import Direction
from ringfence.model.workload import Attachment, Containment, NetworkKind, WorkloadKind
from tests.support.rulesets import START, access, quarantine, service, workload

NETNS = Netns(inode=7, path="/a")
OWNER = workload(NETNS, id="owner", started=START + timedelta(minutes=1))
GUEST = workload(
    NETNS, id="guest", attachments=(Attachment(network="owner", kind=NetworkKind.SHARED, since=START),), started=START
)


def test_who_joined_somebody_elses_namespace_does_not_own_it() -> None:
    assert [item.id for item in occupied([GUEST, OWNER])[7].members] == ["owner", "guest"]


def test_among_equals_the_oldest_owns_it() -> None:
    older = replace(OWNER, id="older", started=START)
    assert occupied([OWNER, older])[7].owner.id == "older"


def test_what_does_not_run_or_has_no_namespace_is_left_out() -> None:
    ended = replace(OWNER, ended=START)
    pathless = replace(OWNER, netns_path=None)
    external = replace(OWNER, kind=WorkloadKind.EXTERNAL)
    assert occupied([ended, pathless, external]) == {}


def test_a_host_network_workload_makes_it_a_hosts_namespace() -> None:
    assert occupied([replace(OWNER, containment=Containment.CGROUP)])[7].host
    assert occupied([replace(OWNER, kind=WorkloadKind.HOST)])[7].netns.shared
    assert not occupied([OWNER])[7].host


def test_several_orders_grant_only_what_all_of_them_grant() -> None:
    ssh, dns = (access(Direction.INGRESS, "10.0.0.0/8", service(6, port)) for port in (22, 53))
    orders = {"owner": quarantine(OWNER, ssh, dns), "guest": quarantine(GUEST, ssh, created=START + timedelta(1))}
    merged = quarantine_of([OWNER, GUEST], orders)
    assert merged is not None
    assert merged.access == (ssh,)
    assert quarantine_of([OWNER], {}) is None

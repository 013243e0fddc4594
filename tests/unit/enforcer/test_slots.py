"""Slots of host-network workloads, and the rules of a host's own namespace."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest

from enforcer.names import Family
from enforcer.netns import Netns
from enforcer.place import Place
from enforcer.plan import Plan
from enforcer.slots import LAST_SLOT, Slot, assign_slots, cgroup_path, host_plan
from ringfence.errors import EnforcementFailed
from ringfence.model.verdict import Direction
from tests.support.fake_kernel import Decision, Packet, decide, fake_namespace
from tests.support.rulesets import DENY_ALL, access, quarantine, rule, ruleset, service, workload

MASK = 0x00FFFF00
TARGET = workload(Netns(inode=1, path="/x"), cgroup="/docker/abc")
WEB = ruleset([rule(16, True, None, service(6, 80)), DENY_ALL], [rule(17, True, None, service(6, 443)), DENY_ALL])
SLOT = Slot(number=3, workload=TARGET, ruleset=WEB, quarantine=None)
OUT = Packet(chain="OUTPUT", src=ip_address("10.0.0.1"), dst=ip_address("10.0.0.2"), cgroup="docker/abc", dport=443)


def outcome(packet: Packet, slot: Slot = SLOT, mark: int = 0) -> Decision:
    with fake_namespace() as (kernel, netns):
        Place(netns, kernel).settle(host_plan([slot], MASK))
        return decide(kernel.namespaces[netns.inode], packet, mark)


def test_no_slots_mean_no_rules() -> None:
    assert host_plan([], MASK) == Plan()


def test_others_on_the_host_are_untouched() -> None:
    assert outcome(replace(OUT, cgroup="system.slice", dport=1)) == Decision("ACCEPT")


def test_what_is_allowed_carries_slot_and_number() -> None:
    assert outcome(OUT) == Decision("ACCEPT", mark=3 << 24 | 17 << 8)


def test_what_is_denied_is_dropped_and_logged() -> None:
    assert outcome(replace(OUT, dport=1)) == Decision("DROP", logged=("rf:e:99@3",))


@pytest.mark.parametrize(("port", "target"), [(80, "ACCEPT"), (81, "DROP")])
def test_an_answer_to_an_unjudged_connection_from_outside_is_judged_as_ingress(port: int, target: str) -> None:
    answer = replace(OUT, sport=port, dport=50000, reply=True, state="ESTABLISHED")
    assert outcome(answer).target == target


def test_a_judged_connection_goes_on() -> None:
    assert outcome(replace(OUT, dport=1, state="ESTABLISHED"), mark=3 << 24).target == "ACCEPT"


def test_quarantine_drops_also_what_was_judged_before_and_loopback() -> None:
    isolated = replace(SLOT, quarantine=quarantine(TARGET))
    assert outcome(OUT, isolated, mark=3 << 24).target == "DROP"
    assert outcome(replace(OUT, interface="lo"), isolated).logged == ("rf:e:3@3",)


@pytest.mark.parametrize(
    ("address", "reply", "target"),
    [("10.0.0.2", False, "DROP"), ("127.0.0.1", False, "ACCEPT"), ("10.0.0.2", True, "ACCEPT")],
    ids=["the host's own address", "loopback", "an answer"],
)
def test_over_loopback_the_hosts_own_addresses_are_judged(address: str, reply: bool, target: str) -> None:
    packet = replace(OUT, interface="lo", dst=ip_address(address), dport=1, reply=reply)
    assert outcome(packet).target == target


def test_a_controlled_access_leaves_the_last_word_to_the_host() -> None:
    order = quarantine(TARGET, access(Direction.EGRESS, "10.0.0.0/24", service(6, 443)))
    lines = host_plan([replace(SLOT, quarantine=order)], MASK).tables[Family.IPV4].chains[SLOT.chain("O")]
    assert [line[-1] for line in lines if "443" in line and "-d" in line] == ["RETURN"]


def test_a_quarantine_does_not_wait_for_a_ruleset_that_cannot_be_expressed() -> None:
    impossible = ruleset([rule(1 << 20, True)])
    with pytest.raises(EnforcementFailed):
        host_plan([replace(SLOT, ruleset=impossible)], MASK)
    neighbour = replace(SLOT, number=4, workload=replace(TARGET, id="w2"), ruleset=impossible, last=WEB)
    plan = host_plan([replace(SLOT, quarantine=quarantine(TARGET)), neighbour], MASK)
    assert "does not fit" in plan.problem
    assert plan.tables[Family.IPV4].chains[neighbour.chain("O")]


def test_chain_names_fit_iptables() -> None:
    longest = replace(SLOT, number=LAST_SLOT)
    assert all(len(name) <= 28 for name in host_plan([longest], MASK).tables[Family.IPV4].chains)


def test_a_new_run_of_the_same_container_has_chains_of_its_own() -> None:
    later = replace(SLOT, workload=replace(TARGET, started=TARGET.started + timedelta(seconds=1)))
    assert later.chain("O") != SLOT.chain("O")


def test_slots_stay_with_their_workloads() -> None:
    first = assign_slots(["a", "b"], {}, ())
    assert assign_slots(["b", "c"], first, ()) == {2: "b", 1: "c"}


def test_slots_are_recovered_from_the_chains_in_the_kernel() -> None:
    chains = [SLOT.chain("O"), "RINGFENCE-IN", "RINGFENCE-9-nonsense", "RINGFENCE-999-abcdef-1234-O"]
    assert assign_slots(["a", TARGET.id], {}, chains) == {1: "a", 3: TARGET.id}


def test_of_more_than_fit_the_last_get_none() -> None:
    ids = [str(number) for number in range(LAST_SLOT + 1)]
    slots = assign_slots(ids, {}, ())
    assert set(slots.values()) == set(ids[:-1])
    assert assign_slots(ids[1:], slots, ())[1] == ids[-1], "until one is free"


@pytest.mark.parametrize("path", [None, "", "/", "/docker/../..", "/a b", "/x\n-F", '/"'])
def test_a_cgroup_that_is_none_is_refused(path: str | None) -> None:
    with pytest.raises(EnforcementFailed):
        cgroup_path(replace(TARGET, cgroup=path))

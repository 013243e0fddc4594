"""Checks that a person reads."""

from __future__ import annotations

from ipaddress import ip_address

from enforcer.connections import Cut
from enforcer.names import Family
from enforcer.observed import Observed, ObservedRule
from enforcer.place import Place
from enforcer.plan import namespace_plan
from enforcer.probe import ProbeResult
from enforcer.proof import cut_check, drops, position_check, probe_checks, rules_check, seal_check
from enforcer.wire import Sealed
from tests.support.fake_kernel import Packet, decide, fake_namespace
from tests.support.rulesets import quarantine, ruleset, workload

NOTHING = Observed(tables={family: {} for family in Family})
TRIED = ProbeResult(targets=("10.0.0.1",), sent=2, passed=())


def isolated() -> tuple[Observed, Observed]:
    """A quarantined namespace before and after two packets."""
    with fake_namespace() as (kernel, netns):
        Place(netns, kernel).settle(namespace_plan(ruleset(), quarantine(workload(netns)), 0xFF00))
        before = kernel.read(netns)
        packet = Packet(chain="OUTPUT", src=ip_address("10.0.0.2"), dst=ip_address("10.0.0.1"))
        for _ in range(2):
            decide(kernel.namespaces[netns.inode], packet)
        return before, kernel.read(netns)


def test_a_probe_that_failed_where_counters_rose_is_proof() -> None:
    before, after = isolated()
    assert drops(after) - drops(before) == 2
    assert all(check.passed for check in probe_checks(TRIED, before, after))


def test_counters_that_did_not_rise_are_no_proof() -> None:
    before, _ = isolated()
    assert [check.passed for check in probe_checks(TRIED, before, before)] == [True, False]


def test_a_probe_that_got_through_is_named() -> None:
    leak = ProbeResult(targets=("10.0.0.1",), sent=2, passed=("UDP to 10.0.0.1",))
    (probe, _) = probe_checks(leak, NOTHING, NOTHING)
    assert not probe.passed
    assert "UDP to 10.0.0.1" in probe.detail


def test_a_namespace_that_nothing_leads_out_of_has_nothing_to_reach() -> None:
    nowhere = ProbeResult(targets=(), sent=0, passed=())
    assert all(check.passed for check in probe_checks(nowhere, NOTHING, NOTHING))


def test_without_a_try_an_interface_that_leads_out_is_no_proof() -> None:
    untried = ProbeResult(targets=(), sent=0, passed=(), interfaces=("eth0",))
    checks = probe_checks(untried, NOTHING, NOTHING)
    assert [check.passed for check in checks] == [False, False]
    assert "eth0" in checks[0].detail


def test_an_open_end_for_packet_sockets_fails_with_its_sentence() -> None:
    assert seal_check(Sealed(detail="closed")).passed
    failed = seal_check(Sealed(detail="process 1 may", problem="eth0 is a macvlan"))
    assert (failed.passed, failed.detail) == (False, "eth0 is a macvlan; process 1 may")


def test_a_jump_that_is_not_first_is_named() -> None:
    before, _ = isolated()
    assert position_check(before).passed
    table = {**before.tables[Family.IPV6], "OUTPUT": (ObservedRule(text="-j ACCEPT"),)}
    moved = Observed(tables={**before.tables, Family.IPV6: table})
    assert position_check(moved).detail == "not first: IPv6 OUTPUT"


def test_a_family_that_is_not_in_use_is_said() -> None:
    missing = Observed(tables={Family.IPV4: {}, Family.IPV6: {}}, unreadable={Family.IPV6: "no"}, ipv6_active=False)
    assert "IPv6 is not in use" in rules_check(missing).detail


def test_connections_that_are_left_fail_the_check() -> None:
    assert cut_check(Cut(connections=3, sockets=2, left=0)).passed
    assert not cut_check(Cut(connections=3, sockets=2, left=1)).passed
    assert not cut_check(Cut(connections=3, sockets=0, left=0, problem="no ss")).passed

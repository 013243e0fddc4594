"""What cannot be enforced here is said in sentences, program by program."""

from __future__ import annotations

from ringfence.config import Enforce
from ringfence.service.limits import enforcement_limits, reporting_limits
from tests.support.doctor_host import ALL_COMMANDS, AnsweringHost

ROOT = {"/proc/self/status": "Name:\tx\nCapEff:\t000001ffffffffff\n"}
NOBODY = {"/proc/self/status": "Name:\tx\nCapEff:\t0000000000000000\n"}


def test_with_everything_there_is_no_limit() -> None:
    assert enforcement_limits(Enforce(), AnsweringHost(files=ROOT, commands=ALL_COMMANDS)) == ()


def test_without_rights_rules_cannot_be_written() -> None:
    assert enforcement_limits(Enforce(), AnsweringHost(files=NOBODY, commands=ALL_COMMANDS, root=False)) == (
        "rules cannot be written and nothing can be quarantined: NET_ADMIN, NET_RAW, SYS_ADMIN missing, run as root",
    )


def test_each_program_that_is_missing_is_named_with_what_it_costs() -> None:
    found = enforcement_limits(Enforce(), AnsweringHost(files=ROOT, commands=frozenset({"iptables"})))
    assert found == (
        "IPv6 rules cannot be written: ip6tables is not installed",
        "rules with peers cannot be written: ipset is not installed",
        "a quarantine cannot cut what is connected already: conntrack is not installed",
        "a quarantine cannot end sockets, programs wait for their time-out: ss is not installed",
        "a quarantine cannot close interfaces against packet sockets: tc is not installed",
        "no rule can be written in a container's namespace: nsenter is not installed",
    )


def test_a_backend_that_was_asked_for_has_its_own_programs() -> None:
    host = AnsweringHost(files=ROOT, commands=ALL_COMMANDS - {"iptables-legacy"})
    assert enforcement_limits(Enforce(backend="legacy"), host) == (
        "IPv4 rules cannot be written: iptables-legacy is not installed",
    )


def test_what_is_switched_off_says_so() -> None:
    host = AnsweringHost(commands=frozenset())
    assert enforcement_limits(Enforce(enabled=False), host) == (
        "rules are not written and nothing is quarantined: enforce.enabled is false",
    )


def test_reports_that_found_no_room_are_told() -> None:
    assert reporting_limits(0) == ()
    assert reporting_limits(2) == ("2 reports of the enforcer are in no record: the state store was away for too long",)

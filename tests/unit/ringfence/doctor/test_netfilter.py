from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ringfence.config import Config, Enforce
from ringfence.doctor.check import Check, CheckState
from ringfence.doctor.host import Ran
from ringfence.doctor.netfilter import backends, netfilter
from tests.support.doctor_host import ALL_COMMANDS, AnsweringHost

VERSION = Ran(code=0, output="iptables v1.8.9 (nf_tables)\n")


def by_name(checks: Sequence[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_host_that_can_do_everything() -> None:
    host = AnsweringHost()
    assert {check.state for check in netfilter(Config(), host)} == {CheckState.OK}
    assert host.outside == []
    assert any("ip6tables" in command for command in host.inside)


def test_one_missing_feature_is_named_with_its_cost_and_the_kernels_words() -> None:
    def answer(command: Sequence[str]) -> Ran:
        return Ran(code=2, error="Couldn't load target `NFLOG'") if "NFLOG" in command else Ran(code=0)

    found = by_name(netfilter(Config(), AnsweringHost(answer=answer)))
    assert found["IPv4"].state is CheckState.OK and "NFLOG" not in found["IPv4"].detail
    assert found["IPv4 NFLOG"].state is CheckState.FAIL
    assert "Couldn't load target" in found["IPv4 NFLOG"].detail and "not seen" in found["IPv4 NFLOG"].detail
    assert "xt_NFLOG" in found["IPv4 NFLOG"].hint


def test_no_rule_at_all_is_one_check_not_six() -> None:
    host = AnsweringHost(answer=lambda command: Ran(code=3, error="Permission denied (you must be root)"))
    found = by_name(netfilter(Config(), host))
    assert found["IPv4"].state is CheckState.FAIL and "you must be root" in found["IPv4"].detail
    assert "IPv4 NFLOG" not in found
    assert found["cgroup match"].state is CheckState.WARN
    assert found["tracking settings"].state is CheckState.WARN


def test_missing_programs_are_named() -> None:
    found = by_name(netfilter(Config(), AnsweringHost(commands=frozenset())))
    assert found["IPv4"].detail == "iptables is not installed: IPv4 cannot be enforced"
    assert found["IPv6"].state is CheckState.FAIL
    assert found["ipset"].hint == "install the package ipset"
    assert found["tc"].hint == "install the package iproute2"
    assert found["cgroup match"].state is CheckState.UNKNOWN
    assert backends(Config(), AnsweringHost(commands=frozenset()))[0].state is CheckState.FAIL


def test_without_a_namespace_nothing_is_tried() -> None:
    host = AnsweringHost(no_namespace="no network namespace can be made here: Operation not permitted")
    (only,) = netfilter(Config(), host)
    assert only.state is CheckState.UNKNOWN and "Operation not permitted" in only.detail
    assert host.inside == host.outside == []


def test_the_configured_backend_is_the_one_that_is_tried() -> None:
    host = AnsweringHost()
    netfilter(replace(Config(), enforce=Enforce(backend="legacy")), host)
    assert {command[0] for command in host.inside if "tables" in command[0]} == {"iptables-legacy", "ip6tables-legacy"}


def test_sets_that_cannot_be_made_or_matched() -> None:
    def no_set(command: Sequence[str]) -> Ran:
        return Ran(code=1, error="Kernel error received: set type not supported") if "ipset" in command else Ran(code=0)

    def no_match(command: Sequence[str]) -> Ran:
        return Ran(code=2, error="No match") if "--match-set" in command else Ran(code=0)

    assert "set type not supported" in by_name(netfilter(Config(), AnsweringHost(answer=no_set)))["ipset"].detail
    assert "cannot be matched" in by_name(netfilter(Config(), AnsweringHost(answer=no_match)))["ipset"].detail


def saves(legacy: int, nft: int) -> AnsweringHost:
    def answer(command: Sequence[str]) -> Ran:
        if command[0].endswith("-save"):
            count = legacy if "legacy" in command[0] else nft
            return Ran(code=0, output="*filter\n:INPUT ACCEPT\n" + "-A INPUT -j DROP\n" * count + "COMMIT\n")
        return VERSION

    names = {"/proc/net/ip_tables_names": "filter"} if legacy else {}
    return AnsweringHost(answer=answer, files=names)


def test_rules_on_both_sides_are_a_warning_with_the_counts() -> None:
    backend, mix = backends(Config(), saves(3, 2))
    assert "nft" in backend.detail
    assert mix.state is CheckState.WARN
    assert "3 legacy, 4 nft" in mix.detail


def test_rules_on_one_side_or_none_are_fine() -> None:
    assert backends(Config(), saves(0, 2))[1].detail == "rules only on the nft side"
    assert backends(Config(), saves(2, 0))[1].detail == "rules only on the legacy side"
    assert backends(Config(), saves(0, 0))[1].detail == "no rules on either side here"


def test_legacy_tables_are_not_asked_for_where_none_is_loaded() -> None:
    host = saves(0, 1)
    backends(Config(), host)
    assert [command for command in host.outside if "legacy" in command[0]] == []


def test_a_side_that_may_not_be_read_is_unknown() -> None:
    def answer(command: Sequence[str]) -> Ran:
        return Ran(code=4, error="Permission denied") if "nft-save" in command[0] else VERSION

    _, mix = backends(Config(), AnsweringHost(answer=answer))
    assert mix.state is CheckState.UNKNOWN and "nft side" in mix.detail


def test_an_iptables_that_does_not_say_its_version_is_unknown() -> None:
    (only,) = backends(Config(), AnsweringHost(commands=ALL_COMMANDS, answer=lambda command: Ran(code=1, error="bad")))
    assert only.state is CheckState.UNKNOWN


def test_an_ip6tables_of_another_backend_is_a_warning() -> None:
    def answer(command: Sequence[str]) -> Ran:
        return Ran(code=0, output="ip6tables v1.8.9 (legacy)\n") if command[0] == "ip6tables" else VERSION

    backend, _ = backends(Config(), AnsweringHost(answer=answer))
    assert backend.state is CheckState.WARN
    assert backend.detail == "iptables v1.8.9 (nf_tables): nft; but ip6tables is legacy"

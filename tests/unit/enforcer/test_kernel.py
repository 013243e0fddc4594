"""The order in which the tools are run, and what happens when one fails; the real ones run in tests/contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from enforcer.change import Change
from enforcer.iptables import Commands, NotInstalled
from enforcer.kernel import SystemKernel, unseen_families
from enforcer.names import Family
from enforcer.netns import Netns
from ringfence.config import Enforce
from ringfence.errors import EnforcementFailed

NETNS = Netns(inode=1, path="/x")
CHANGE = Change(
    sets_before="create a\n",
    tables={Family.IPV4: "new4", Family.IPV6: "new6"},
    undo={Family.IPV4: "old4", Family.IPV6: "old6"},
    sets_after="destroy b\n",
)


class Tools:
    """Records what is run; inputs in `failing` fail."""

    def __init__(self, *failing: str) -> None:
        self.failing, self.inputs = failing, list[str]()

    def __call__(self, argv: Sequence[str], *, netns: Netns | None = None, text: str = "") -> str:
        if argv[-1] == "-V":
            return "iptables v1.8.9 (nf_tables)"
        self.inputs.append(text)
        if text in self.failing:
            raise EnforcementFailed(f"{text} failed")
        return ""


def write(tools: Tools) -> None:
    SystemKernel(Enforce(), runner=tools).write(NETNS, CHANGE)


def test_sets_come_before_the_rules_that_use_them_and_go_after() -> None:
    tools = Tools()
    write(tools)
    assert tools.inputs == ["create a\n", "new4", "new6", "destroy b\n"]


def test_when_ipv6_fails_ipv4_is_put_back() -> None:
    tools = Tools("new6")
    with pytest.raises(EnforcementFailed, match="new6 failed"):
        write(tools)
    assert tools.inputs == ["create a\n", "new4", "new6", "old4"]


def test_when_that_fails_too_both_are_said() -> None:
    with pytest.raises(EnforcementFailed, match="new6 failed; and IPv4 could not be put back"):
        write(Tools("new6", "old4"))


def test_when_sets_fail_no_rule_is_touched() -> None:
    tools = Tools("create a\n")
    with pytest.raises(EnforcementFailed):
        write(tools)
    assert tools.inputs == ["create a\n"]


def test_the_other_backend_is_cleared_once_ours_stands_and_before_sets_go() -> None:
    tools = Tools()
    kernel = SystemKernel(Enforce(), runner=tools)
    assert not kernel.commands.legacy
    kernel.write(NETNS, replace(CHANGE, elsewhere={Family.IPV4: "other4"}))
    assert tools.inputs == ["create a\n", "new4", "new6", "other4", "destroy b\n"]


@pytest.mark.parametrize("family", Family)
def test_rules_that_iptables_cannot_show_are_never_taken_for_none(family: Family) -> None:
    def save(argv: Sequence[str], *, netns: Netns | None = None, text: str = "") -> str:
        shown = argv[0] != Commands(legacy=False).save(family)
        return "*filter\nCOMMIT\n" if shown else "# Table `filter' is incompatible, use 'nft' tool.\n"

    with pytest.raises(EnforcementFailed, match=f"{family.label} filter table holds what only nft can show"):
        SystemKernel(Enforce(), runner=save).read(NETNS)


FAILED, MISSING = EnforcementFailed("ip6tables-save failed"), NotInstalled("ip6tables-save is not installed")


@pytest.mark.parametrize(
    ("failure", "legacy", "there", "unseen"),
    [
        (FAILED, False, frozenset(), True),
        (MISSING, False, frozenset(), False),
        (FAILED, True, frozenset({"filter"}), True),
        (FAILED, True, frozenset({"nat"}), False),
    ],
    ids=["it fails", "it is not installed", "it fails over a legacy table", "there is no legacy table"],
)
def test_something_of_ours_may_stand_where_the_tool_fails_over_a_table(
    failure: EnforcementFailed, legacy: bool, there: frozenset[str], unseen: bool
) -> None:
    tables = {Family.IPV4: frozenset[str](), Family.IPV6: there}
    found = unseen_families({Family.IPV6: failure}, Commands(legacy=legacy), tables)
    assert found == ({Family.IPV6} if unseen else frozenset())
